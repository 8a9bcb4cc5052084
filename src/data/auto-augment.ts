import { requireInteger } from '../base/check.ts'
import { checkOptions, NUMBER } from '../base/options.ts'
import type { Rng } from '../base/rng.ts'
import type { PixelEdit, PixelOperation } from '../image/pixel-edits.ts'

/** Options of `trivialAugment`. */
export interface TrivialAugmentOptions {
  /** Number of strengths of every operation, evenly spaced from none to the largest. Default 31 */
  readonly bins?: number
}

/** One random operation at a random strength for every image, in training only. */
export interface TrivialAugmentTransform extends Required<TrivialAugmentOptions> {
  readonly kind: 'trivialAugment'
  readonly order: 2
  /** Draws the changes of one image. */
  drawEdits(random: Rng): PixelEdit[]
}

/** Options of `randAugment`. */
export interface RandAugmentOptions {
  /** Number of operations for every image. Default 2 */
  readonly count?: number
  /** Number of the strength among the bins, from 0. Default 9 */
  readonly magnitude?: number
  /** Number of strengths of every operation. Default 31 */
  readonly bins?: number
}

/** Some random operations of one strength for every image, in training only. */
export interface RandAugmentTransform extends Required<RandAugmentOptions> {
  readonly kind: 'randAugment'
  readonly order: 2
  /** Draws the changes of one image of a size. */
  drawEdits(random: Rng, size: { readonly width: number; readonly height: number }): PixelEdit[]
}

/** Range of the strengths of an operation. */
interface Strengths {
  readonly from: number
  readonly to: number
  /** True if the sign is random. */
  readonly signed?: boolean
  readonly whole?: boolean
}
type Space = readonly (readonly [op: PixelOperation | 'identity', strengths: Strengths])[]

const NONE: Strengths = { from: 0, to: 0 }
const signed = (to: number): Strengths => ({ from: 0, to, signed: true })

/** Operations with their largest strengths. Source: torchvision transforms/autoaugment.py, _augmentation_space. */
function space(largest: {
  readonly shear: number
  readonly translateX: number
  readonly translateY: number
  readonly rotate: number
  readonly enhance: number
  readonly bits: number
}): Space {
  const { shear, translateX, translateY, rotate, enhance, bits } = largest
  return [
    ['identity', NONE],
    ['shearX', signed(shear)],
    ['shearY', signed(shear)],
    ['translateX', signed(translateX)],
    ['translateY', signed(translateY)],
    ['rotate', signed(rotate)],
    ['brightness', signed(enhance)],
    ['color', signed(enhance)],
    ['contrast', signed(enhance)],
    ['sharpness', signed(enhance)],
    ['posterize', { from: 8, to: bits, whole: true }],
    ['solarize', { from: 255, to: 0 }],
    ['autoContrast', NONE],
    ['equalize', NONE],
  ]
}

/** Ranges of TrivialAugmentWide: pixels of translation and degrees do not depend on the size. */
const WIDE = space({ shear: 0.99, translateX: 32, translateY: 32, rotate: 135, enhance: 0.99, bits: 2 })

/** Largest translation of RandAugment as a part of the size. Source: Cubuk et al. 2019, arXiv:1909.13719: 150 of 331 pixels. */
const RAND_TRANSLATION = 150 / 331

/**
 * Makes a transform that changes every image in training by one random operation of random strength: shears, shifts and
 * turns, brightness, color, contrast, sharpness, fewer bits, inverted lights, stretched or equalized histograms, or nothing.
 * It comes after resizing and cropping, runs on the threads that decode, and has no other parameter to tune.
 *
 * @throws OptionError  if bins is not an integer from 2
 * Source: Müller & Hutter 2021, arXiv:2103.10158; torchvision's TrivialAugmentWide, to the pixel.
 */
export function trivialAugment(options: TrivialAugmentOptions = {}): TrivialAugmentTransform {
  checkOptions('trivialAugment', options, { bins: NUMBER })
  const { bins = 31 } = options
  requireInteger('trivialAugment', 'bins', bins, { from: 2 })
  return {
    kind: 'trivialAugment',
    order: 2,
    bins,
    drawEdits: (random) => edit(random, WIDE, (strengths) => strengthAt(strengths, random.integer(0, bins - 1), bins)),
  }
}

/**
 * Makes a transform that changes every image in training by `count` random operations (see `trivialAugment`) of one
 * strength.
 *
 * @throws OptionError  if an option is not an integer, or the magnitude is not below bins
 * Source: Cubuk et al. 2019, arXiv:1909.13719; torchvision's RandAugment, to the pixel.
 */
export function randAugment(options: RandAugmentOptions = {}): RandAugmentTransform {
  checkOptions('randAugment', options, { count: NUMBER, magnitude: NUMBER, bins: NUMBER })
  const { count = 2, magnitude = 9, bins = 31 } = options
  requireInteger('randAugment', 'count', count, { from: 1 })
  requireInteger('randAugment', 'bins', bins, { from: 2 })
  requireInteger('randAugment', 'magnitude', magnitude, { from: 0, to: bins - 1 })
  return {
    kind: 'randAugment',
    order: 2,
    count,
    magnitude,
    bins,
    drawEdits(random, { width, height }) {
      const [translateX, translateY] = [RAND_TRANSLATION * width, RAND_TRANSLATION * height]
      const operations = space({ shear: 0.3, translateX, translateY, rotate: 30, enhance: 0.9, bits: 4 })
      return Array.from({ length: count }, () =>
        edit(random, operations, (strengths) => strengthAt(strengths, magnitude, bins)),
      ).flat()
    },
  }
}

function edit(random: Rng, operations: Space, strengthOf: (strengths: Strengths) => number): PixelEdit[] {
  const [op, strengths] = operations[random.integer(0, operations.length - 1)]
  const strength = strengthOf(strengths)
  const by = strengths.signed === true && random.bernoulli(0.5) ? -strength : strength
  return op === 'identity' ? [] : [{ op, by }]
}

/** Strength number `bin` of `bins`, evenly spaced. Source: torch.linspace; whole ones are rounded to even, as torch.round. */
function strengthAt({ from, to, whole = false }: Strengths, bin: number, bins: number): number {
  const step = (bin / (bins - 1)) * (to - from)
  return from + (whole ? roundedToEven(step) : step)
}

function roundedToEven(value: number): number {
  const low = Math.floor(value)
  return value - low === 0.5 ? low + (low % 2 === 0 ? 0 : 1) : Math.round(value)
}
