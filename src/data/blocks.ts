import { OptionError } from '../base/errors.ts'
import type { ResizePlan } from '../platform/platform.ts'
import { toSize, type Size } from './augment/crop.ts'
import { resizeBox } from './resize.ts'

/** The items are pictures. */
export interface ImageBlock {
  readonly kind: 'image'
}

/** Items that are image files, decoded to 8-bit RGB. */
export function ImageBlock(): ImageBlock {
  return { kind: 'image' }
}

/** The targets are one class each. */
export interface CategoryBlock {
  readonly kind: 'category'
  /** The classes in their order; absent: the labels of the training items, sorted. */
  readonly vocab: readonly string[] | undefined
}

/** Targets that are one class each, numbered by the place in the vocabulary. */
export function CategoryBlock(options: { readonly vocab?: readonly string[] } = {}): CategoryBlock {
  return { kind: 'category', vocab: options.vocab }
}

/** Brings every picture to one size on the CPU, before batches are made. */
export interface ItemTransform {
  readonly kind: 'resize'
  readonly order: 1
  readonly width: number
  readonly height: number
  readonly method: ResizePlan['method']
}

/**
 * Crops every picture to the aspect of the target and resamples it: in training at a random place along its longer
 * side, in validation in the middle.
 *
 * @param size  pixels: one number for a square, or [height, width]
 * @param options.method  'crop' (default) keeps the shorter side whole, 'squish' all of it, 'pad' adds a mirror image
 * @throws OptionError  when the size is not whole pixels from 2 on, or there is no such method
 * Source: fastai vision/augment.py, Resize.
 */
export function resize(size: Size, options: { readonly method?: ResizePlan['method'] } = {}): ItemTransform {
  const { method = 'crop' } = options
  if (!['crop', 'squish', 'pad'].includes(method)) {
    throw new OptionError('resize', `there is no method '${method}'`, { expected: "'crop', 'squish' or 'pad'" })
  }
  const [height, width] = toSize('resize', size)
  return { kind: 'resize', order: 1, width, height, method }
}

/** Where a crop lies along both axes, each in [0,1); ½ is the middle. */
export type Position = readonly [number, number]

export const MIDDLE: Position = [0.5, 0.5]

/** The resize of one picture as the decoder wants it. */
export function planOf({ width, height, method }: ItemTransform, position: Position): ResizePlan {
  return { width, height, method, position }
}

/** Whether every position shows the same part of a picture of that size, as for a square one cropped to a square. */
export function positionMatters(transform: ItemTransform, width: number, height: number): boolean {
  const nearlyOne = 1 - Number.EPSILON / 2
  const first = resizeBox(width, height, planOf(transform, [0, 0]))
  const last = resizeBox(width, height, planOf(transform, [nearlyOne, nearlyOne]))
  return first.left !== last.left || first.top !== last.top
}
