import { requireNumber } from '../base/check.ts'
import { OptionError } from '../base/errors.ts'
import type { Rng } from '../base/rng.ts'
import { ANY, checkOptions, NUMBER, TEXT } from '../base/options.ts'
import { checkPadMode, type FitPlan, type PadMode, type ResizePlan } from '../image/resize-plan.ts'
import { checkRanges, toSize, type Size } from './augment/crop.ts'
import { BOX_NUMBERS, type Range } from '../image/box.ts'
import type { Phase } from './augment/draw.ts'
import type { RandAugmentTransform, TrivialAugmentTransform } from './auto-augment.ts'
import { toOwnItemTransform, type OwnItem, type OwnItemFunction, type OwnItemTransform } from './own-item-transform.ts'

/** Brings images to one size; what is random about it is drawn anew for every image. */
export interface SizeTransform {
  readonly order: 1
  readonly width: number
  readonly height: number
  /** Returns how one image is resized, at random for 'train'. */
  draw(random: Rng, split: Phase): ResizePlan
}

/** Resizes images to one size: crops, squishes or pads them. Made by `resize`. */
export interface ResizeTransform extends SizeTransform {
  readonly kind: 'resize'
  readonly method: FitPlan['method']
  /** Values beyond the border, for the method 'pad'; `undefined`: the mirror image. */
  readonly padMode: PadMode | undefined
}

/** Resizes a random box of each image in training, the middle in validation. Made by `randomResizedCrop`. */
export interface RandomResizedCropTransform extends SizeTransform, Required<RandomResizedCropOptions> {
  readonly kind: 'randomResizedCrop'
}

/** Exchanges left and right of some images in training. */
export interface FlipItemTransform {
  readonly kind: 'flipItem'
  readonly order: 0
  readonly p: number
}

/** Options of `randomCrop`. */
export interface RandomCropOptions {
  /** Pixels added on every side in training, before the place is chosen. Default 0 */
  readonly padding?: number
  /** Values beyond the border. Default 'zeros' */
  readonly padMode?: PadMode
}

/** Crops images without resampling, at a random place in training. Made by `randomCrop`. */
export interface RandomCropTransform extends SizeTransform, Required<RandomCropOptions> {
  readonly kind: 'randomCrop'
}

/** Crops or pads images around their middle, without resampling. Made by `cropPad`. */
export interface CropPadTransform extends SizeTransform {
  readonly kind: 'cropPad'
  readonly padMode: PadMode
}

/** Applies a random symmetry of the square to images in training. */
export interface DihedralItemTransform {
  readonly kind: 'dihedralItem'
  readonly order: 0
  readonly p: number
}

/** Transform that decides how an image is resized. */
export type SizingTransform = ResizeTransform | RandomResizedCropTransform | RandomCropTransform | CropPadTransform

/** Transform of a single image on the CPU, before batches are made. */
export type ItemTransform =
  | SizingTransform
  | FlipItemTransform
  | DihedralItemTransform
  | TrivialAugmentTransform
  | RandAugmentTransform
  | OwnItemTransform

/** Item of a list of item transforms: a built-in one, or code from outside the package. */
export type GivenItemTransform = ItemTransform | OwnItem | OwnItemFunction

/** The middle of both axes. */
const MIDDLE = [0.5, 0.5] as const

/**
 * Crops every image to the aspect of the target and resamples it: in training at a random place along its longer
 * side, in validation in the middle.
 *
 * @param size  pixels: one number for a square, or [height, width]
 * @param options.method  'crop' (default) keeps the shorter side whole, 'squish' all of it, 'pad' adds to the shorter side
 * @param options.padMode  what 'pad' adds: 'reflection' (default) the mirror image, 'border' the border repeated, 'zeros' black
 * @throws OptionError  when the size is not whole pixels from 2 on, or there is no such method or mode, or a mode is given
 *   without the method 'pad'
 * Source: fastai vision/augment.py, Resize, ResizeMethod and PadMode.
 */
export function resize(
  size: Size,
  options: { readonly method?: FitPlan['method']; readonly padMode?: PadMode } = {},
): ResizeTransform {
  checkOptions('resize', options, { method: TEXT, padMode: TEXT })
  const { method = 'crop', padMode } = options
  if (!['crop', 'squish', 'pad'].includes(method)) {
    throw new OptionError('resize', `there is no method '${method}'`, { expected: "'crop', 'squish' or 'pad'" })
  }
  checkPadMode('resize', padMode)
  if (padMode !== undefined && method !== 'pad') {
    throw new OptionError('resize', `nothing is padded by the method '${method}'`, {
      given: { method, padMode },
      fix: "write { method: 'pad', padMode }, or leave padMode out",
    })
  }
  const [height, width] = toSize('resize', size)
  return {
    kind: 'resize',
    order: 1,
    width,
    height,
    method,
    padMode,
    draw: (random, split) => ({
      method,
      ...(padMode !== undefined && { padMode }),
      width,
      height,
      position: split === 'valid' ? MIDDLE : [random.uniform(), random.uniform()],
    }),
  }
}

/** Options of `randomResizedCrop`. */
export interface RandomResizedCropOptions {
  /** Smallest part of the area to keep in training. Default 0.08 */
  readonly minScale?: number
  /** Largest part of the area to keep in training. Default 1 */
  readonly maxScale?: number
  /** Smallest and largest width / height of what is kept. Default 3/4 and 4/3 */
  readonly ratio?: Range
  /** How much larger images are made in validation before their middle is kept, in parts of the size. Default 0.14 */
  readonly validExtra?: number
}

/**
 * In training a box of random area, shape and place of every image, brought to `size`; in validation all of the
 * image, squished to ⌈max(size)·validExtra / 8⌉·8 pixels more, of which the middle is kept.
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
 * Mirrors images left to right with probability p, in training only, and before they are cropped wherever it is listed.
 *
 * @param p  Default 0.5
 * @throws OptionError  if p is not a probability
 * Source: fastai vision/augment.py, FlipItem.
 */
export function flipItem(p = 0.5): FlipItemTransform {
  requireNumber('flipItem', 'p', p, { from: 0, to: 1 })
  return { kind: 'flipItem', order: 0, p }
}

const KINDS: ReadonlySet<string> = new Set<ItemTransform['kind']>([
  'resize',
  'randomResizedCrop',
  'randomCrop',
  'cropPad',
  'flipItem',
  'dihedralItem',
  'trivialAugment',
  'randAugment',
  'own',
])

/**
 * Returns item transforms in the order of their work: flips and turns, then the size, then changes of pixels.
 *
 * @throws OptionError  for two that do the same work, or for one that is neither built in nor code
 */
export function sortItemTransforms(given: readonly GivenItemTransform[]): readonly ItemTransform[] {
  const transforms = given.map((one) => ('kind' in one ? one : toOwnItemTransform(one)))
  const other = transforms.find(({ kind }) => !KINDS.has(kind))
  if (other) {
    throw new OptionError('item transforms', 'an item is not an item transform', {
      given: { kind: other.kind },
      expected: [...KINDS].join(', '),
      fix: 'list transforms of batches, such as normalize, in batchTransforms',
    })
  }
  const works = transforms.map((one) => (one.kind === 'own' ? `own ${one.name}` : one.order < 2 ? one.order : one.kind))
  if (new Set(works).size < works.length) {
    throw new OptionError('item transforms', 'there are two item transforms for the same work', {
      given: { itemTransforms: transforms.map((one) => (one.kind === 'own' ? one.name : one.kind)).join(', ') },
      fix: 'leave one out',
    })
  }
  return transforms.toSorted((a, b) => a.order - b.order)
}

/** Draws how the transforms, sorted, bring one image to its size. */
export function drawPlan(transforms: readonly ItemTransform[], random: Rng, split: Phase): ResizePlan {
  let plan: ResizePlan = { method: 'whole' }
  let turned: Pick<ResizePlan, 'mirror' | 'dihedral'> = {}
  for (const transform of transforms) {
    if (transform.kind === 'flipItem') {
      if (split === 'train' && random.bernoulli(transform.p)) turned = { mirror: true }
    } else if (transform.kind === 'dihedralItem') {
      const dihedral = split === 'train' && random.bernoulli(transform.p) ? random.integer(0, 7) : 0
      if (dihedral > 0) turned = { dihedral }
    } else if ('draw' in transform) plan = transform.draw(random, split)
  }
  return { ...plan, ...turned }
}
