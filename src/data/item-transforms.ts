import { requireNumber } from '../base/check.ts'
import { OptionError } from '../base/errors.ts'
import type { Rng } from '../base/rng.ts'
import { ANY, checkOptions, NUMBER, TEXT } from '../base/options.ts'
import type { FitPlan, ResizePlan } from '../image/resize-plan.ts'
import { checkRanges, toSize, type Size } from './augment/crop.ts'
import { BOX_NUMBERS, type Range } from '../image/box.ts'
import type { Phase } from './augment/draw.ts'

/** Brings pictures to one size; what is random about it is drawn anew for every picture. */
export interface SizeTransform {
  readonly order: 1
  readonly width: number
  readonly height: number
  /** Returns how one image is resized, at random for 'train'. */
  draw(random: Rng, split: Phase): ResizePlan
}

export interface ResizeTransform extends SizeTransform {
  readonly kind: 'resize'
  readonly method: FitPlan['method']
}

export interface RandomResizedCropTransform extends SizeTransform, Required<RandomResizedCropOptions> {
  readonly kind: 'randomResizedCrop'
}

/** Exchanges left and right of some pictures in training. */
export interface FlipItemTransform {
  readonly kind: 'flipItem'
  readonly order: 0
  readonly p: number
}

/** Transform of a single image on the CPU, before batches are made. */
export type ItemTransform = ResizeTransform | RandomResizedCropTransform | FlipItemTransform

/** The middle of both axes. */
const MIDDLE = [0.5, 0.5] as const

/**
 * Crops every picture to the aspect of the target and resamples it: in training at a random place along its longer
 * side, in validation in the middle.
 *
 * @param size  pixels: one number for a square, or [height, width]
 * @param options.method  'crop' (default) keeps the shorter side whole, 'squish' all of it, 'pad' adds a mirror image
 * @throws OptionError  when the size is not whole pixels from 2 on, or there is no such method
 * Source: fastai vision/augment.py, Resize.
 */
export function resize(size: Size, options: { readonly method?: FitPlan['method'] } = {}): ResizeTransform {
  checkOptions('resize', options, { method: TEXT })
  const { method = 'crop' } = options
  if (!['crop', 'squish', 'pad'].includes(method)) {
    throw new OptionError('resize', `there is no method '${method}'`, { expected: "'crop', 'squish' or 'pad'" })
  }
  const [height, width] = toSize('resize', size)
  return {
    kind: 'resize',
    order: 1,
    width,
    height,
    method,
    draw: (random, split) => ({
      method,
      width,
      height,
      position: split === 'valid' ? MIDDLE : [random.uniform(), random.uniform()],
    }),
  }
}

export interface RandomResizedCropOptions {
  /** Smallest and largest part of the area to keep in training. Default 0.08 and 1 */
  readonly minScale?: number
  readonly maxScale?: number
  /** Smallest and largest width / height of what is kept. Default 3/4 and 4/3 */
  readonly ratio?: Range
  /** How much larger pictures are made in validation before their middle is kept, in parts of the size. Default 0.14 */
  readonly validExtra?: number
}

/**
 * In training a box of random area, shape and place of every picture, brought to `size`; in validation all of the
 * picture, squished to ⌈max(size)·validExtra / 8⌉·8 pixels more, of which the middle is kept.
 *
 * @param size  pixels: one number for a square, or [height, width]
 * @throws OptionError  when the size, a scale or the ratio is out of range
 * Source: fastai vision/augment.py, RandomResizedCrop; Szegedy et al. 2014, arXiv:1409.4842, §6 (the box).
 */
export function randomResizedCrop(size: Size, options: RandomResizedCropOptions = {}): RandomResizedCropTransform {
  checkOptions('randomResizedCrop', options, { minScale: NUMBER, maxScale: NUMBER, ratio: ANY, validExtra: NUMBER })
  const { minScale = 0.08, maxScale = 1, ratio = [3 / 4, 4 / 3], validExtra = 0.14 } = options
  const [height, width] = toSize('randomResizedCrop', size)
  checkRanges('randomResizedCrop', [minScale, maxScale], ratio)
  requireNumber('randomResizedCrop', 'validExtra', validExtra, { from: 0 })
  const extra = Math.ceil((Math.max(height, width) * validExtra) / 8) * 8
  return {
    kind: 'randomResizedCrop',
    order: 1,
    width,
    height,
    minScale,
    maxScale,
    ratio,
    validExtra,
    draw: (random, split) =>
      split === 'valid'
        ? { method: 'middle', width, height, extra }
        : {
            method: 'random-crop',
            width,
            height,
            scale: [minScale, maxScale],
            ratio,
            draws: Array.from({ length: BOX_NUMBERS }, () => random.uniform()),
          },
  }
}

/**
 * Mirrors pictures left to right with probability p, in training only, and before they are cropped wherever it is listed.
 *
 * @param p  Default 0.5
 * @throws OptionError  when p is no probability
 * Source: fastai vision/augment.py, FlipItem.
 */
export function flipItem(p = 0.5): FlipItemTransform {
  requireNumber('flipItem', 'p', p, { from: 0, to: 1 })
  return { kind: 'flipItem', order: 0, p }
}

/**
 * Item transforms in the order of their work.
 *
 * @throws OptionError  for two that do the same work
 */
export function sortItemTransforms(transforms: readonly ItemTransform[]): readonly ItemTransform[] {
  if (new Set(transforms.map(({ order }) => order)).size < transforms.length) {
    throw new OptionError('item transforms', 'there are two item transforms for the same work', {
      given: { itemTransforms: transforms.map(({ kind }) => kind).join(', ') },
      fix: 'leave one out',
    })
  }
  return transforms.toSorted((a, b) => a.order - b.order)
}

/** Draws what the transforms, sorted, make of one picture. */
export function drawPlan(transforms: readonly ItemTransform[], random: Rng, split: Phase): ResizePlan {
  let plan: ResizePlan = { method: 'whole' }
  let mirror = false
  for (const transform of transforms) {
    if (transform.kind === 'flipItem') mirror = split === 'train' && random.bernoulli(transform.p)
    else plan = transform.draw(random, split)
  }
  return mirror ? { ...plan, mirror } : plan
}
