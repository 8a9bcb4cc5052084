import { requireNumber } from '../../base/check.ts'
import { OptionError } from '../../base/errors.ts'
import type { Rng } from '../../base/rng.ts'
import { ANY, checkOptions, NUMBER } from '../../base/options.ts'
import { middleBox, randomBox, type Box, type Range } from '../../image/box.ts'
import type { Phase } from './draw.ts'

/** Height and width in pixels, or one number for both. */
export type Size = number | readonly [number, number]

/** Options of `randomResizedCropGpu`. */
export interface CropOptions {
  /** Smallest fraction of the area to keep in training. Default 0.08 */
  readonly minScale?: number
  /** Largest fraction of the area to keep in training. Default 1 */
  readonly maxScale?: number
  /** Smallest and largest width / height of the box. Default 3/4 and 4/3 */
  readonly ratio?: Range
  /** Fraction of each side to keep in validation. Default 1 */
  readonly validScale?: number
}

/** Transform that crops a batch and resizes it to one size. */
export interface CropTransform extends Required<CropOptions> {
  readonly kind: 'crop'
  readonly order: 30
  /** [height, width] of the output in pixels. */
  readonly size: readonly [number, number]
  /** Draws the box of one batch; in validation the largest centered box. */
  draw(random: Rng, height: number, width: number, phase: Phase): Box
}

/**
 * Makes a transform that crops a random box, the same for all images of a batch, and resizes it; in validation the
 * largest centered box.
 *
 * @param size     size of the output in pixels
 * @throws OptionError  if the size, a scale or the ratio is out of range
 * Source: fastai vision/augment.py, RandomResizedCropGPU.
 */
export function randomResizedCropGpu(size: Size, options: CropOptions = {}): CropTransform {
  checkOptions('randomResizedCropGpu', options, { minScale: NUMBER, maxScale: NUMBER, ratio: ANY, validScale: NUMBER })
  const { minScale = 0.08, maxScale = 1, ratio = [3 / 4, 4 / 3], validScale = 1 } = options
  checkRanges('randomResizedCropGpu', [minScale, maxScale], ratio)
  requireNumber('randomResizedCropGpu', 'validScale', validScale, { above: 0, to: 1 })
  return {
    kind: 'crop',
    order: 30,
    size: toSize('randomResizedCropGpu', size),
    minScale,
    maxScale,
    ratio,
    validScale,
    draw: (random, height, width, phase) =>
      (phase === 'train' ? randomBox(() => random.uniform(), height, width, [minScale, maxScale], ratio) : undefined) ??
      middleBox(height, width, ratio, phase === 'valid' ? validScale : 1),
  }
}

/** Largest side in pixels; its square is the largest number of pixels that is decoded (image/decode.ts). */
const LONGEST_SIDE = 10_000

/**
 * Converts a size to [height, width].
 *
 * @throws OptionError  unless both sides are integers from 2, the least with distinct corners to align, to LONGEST_SIDE
 */
export function toSize(where: string, size: Size): readonly [number, number] {
  const sides = typeof size === 'number' ? ([size, size] as const) : size
  if (
    !Array.isArray(sides) ||
    sides.length !== 2 ||
    sides.some((side) => !Number.isInteger(side) || side < 2 || side > LONGEST_SIDE)
  ) {
    throw new OptionError(where, 'size is out of range', {
      given: { size },
      expected: `a whole number from 2 to ${LONGEST_SIDE} in pixels, or [height, width]`,
    })
  }
  return sides
}

/** @throws OptionError  unless both are ranges that a box can be drawn from */
export function checkRanges(where: string, [minScale, maxScale]: Range, ratio: Range): void {
  if (!(minScale > 0 && minScale <= maxScale && maxScale <= 1)) {
    throw new OptionError(where, 'the scales are parts of the area', {
      given: { minScale, maxScale },
      expected: '0 < minScale ≤ maxScale ≤ 1',
    })
  }
  if (!(Array.isArray(ratio) && ratio[0] > 0 && ratio[0] <= ratio[1])) {
    throw new OptionError(where, 'the ratio is a range of width / height', {
      given: { ratio },
      expected: '0 < ratio[0] ≤ ratio[1]',
    })
  }
}

/**
 * Returns the size to which an image is averaged down before it is sampled, so that sampling shrinks it by at most 2;
 * its own size if that holds already, or if the coordinates (see `extent`) magnify as much as the sizes shrink.
 *
 *   d = min(H/P, W/Q) / 2;  if d > 1 and d > 2/extent:  ⌊H·(1/d)⌋ × ⌊W·(1/d)⌋
 *
 * The product with the reciprocal is intended: at 64 px some crops become 127 instead of 128.
 * Source: fastai vision/augment.py, _grid_sample; its d mixes up the axes of non-square images, this one does not.
 */
export function reducedSize(
  input: readonly [number, number],
  output: readonly [number, number],
  extent = 2,
): readonly [number, number] {
  const d = Math.min(input[0] / output[0], input[1] / output[1]) / 2
  if (!(d > 1 && d > 2 / extent)) return input
  return [Math.floor(input[0] * (1 / d)), Math.floor(input[1] * (1 / d))]
}
