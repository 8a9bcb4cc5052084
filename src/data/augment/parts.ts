/** The parts of `augTransforms` alone, under fastai's names. Listed together, they become one resampling and one change of light. */
import { requireNumber, requireRange } from '../../base/check.ts'
import { checkOptions, FLAG, listOf, NUMBER, oneOf, TEXT, type Kinds } from '../../base/options.ts'
import { checkPadMode, type PadMode } from '../../image/resize-plan.ts'
import { affine, type AffineOptions, type AffineTransform } from './affine.ts'
import { toSize, type Size } from './crop.ts'
import { lighting, type LightingTransform } from './lighting.ts'

/** Options that transforms of the places of pixels share. */
export interface CoordinateOptions {
  /** Probability of a change. Default 0.5 */
  readonly p?: number
  /** Output size in pixels. Default: that of the input */
  readonly size?: Size
  /** Values beyond an image's border. Default 'reflection' */
  readonly padMode?: PadMode
  /** True for one draw for the whole batch. Default false */
  readonly batch?: boolean
}

/** Options of `rotate`. */
export interface RotateOptions extends CoordinateOptions {
  /** Largest rotation in degrees, in either direction. Default 10 */
  readonly maxDeg?: number
}

/** Options of `zoom`. */
export interface ZoomOptions extends CoordinateOptions {
  /** Smallest magnification. Default 1 */
  readonly minZoom?: number
  /** Largest magnification. Default 1.1 */
  readonly maxZoom?: number
}

/** Options of `warp`. */
export interface WarpOptions extends CoordinateOptions {
  /** Largest displacement of a corner by the perspective, as a fraction of half a side. Default 0.2 */
  readonly magnitude?: number
}

/** Options of `brightness` and `contrast`. */
export interface LightOptions {
  /** Largest relative change, above 0 and below 1. Default 0.2 */
  readonly maxLighting?: number
  /** Probability of a change. Default 0.75 */
  readonly p?: number
  /** True for one draw for the whole batch. Default false */
  readonly batch?: boolean
}

const COORDINATE_KINDS: Kinds<CoordinateOptions> = {
  p: NUMBER,
  size: oneOf(NUMBER, listOf(NUMBER)),
  padMode: TEXT,
  batch: FLAG,
}

/**
 * Makes a transform that exchanges left and right of each item with probability p, in training only.
 *
 * @throws OptionError  if an option is out of range
 * Source: fastai vision/augment.py, Flip.
 */
export function flip(options: CoordinateOptions = {}): AffineTransform {
  return part('flip', options, COORDINATE_KINDS, (p) => ({ flips: 'horizontal', pFlip: p }))
}

/**
 * Makes a transform that applies any of the eight symmetries of the square to each item with probability p, in training
 * only.
 *
 * @throws OptionError  if an option is out of range
 * Source: fastai vision/augment.py, Dihedral.
 */
export function dihedral(options: CoordinateOptions = {}): AffineTransform {
  return part('dihedral', options, COORDINATE_KINDS, (p) => ({ flips: 'dihedral', pFlip: p }))
}

/**
 * Makes a transform that rotates each item by a random angle with probability p, in training only.
 *
 * @throws OptionError  if an option is out of range
 * Source: fastai vision/augment.py, Rotate.
 */
export function rotate(options: RotateOptions = {}): AffineTransform {
  return part<RotateOptions>('rotate', options, { ...COORDINATE_KINDS, maxDeg: NUMBER }, (p) => {
    const { maxDeg = 10 } = options
    requireNumber('rotate', 'maxDeg', maxDeg, { from: 0 })
    return { maxRotate: maxDeg, pRotate: p }
  })
}

/**
 * Makes a transform that magnifies a random part of each item with probability p, in training only.
 *
 * @throws OptionError  if an option is out of range
 * Source: fastai vision/augment.py, Zoom.
 */
export function zoom(options: ZoomOptions = {}): AffineTransform {
  return part<ZoomOptions>('zoom', options, { ...COORDINATE_KINDS, minZoom: NUMBER, maxZoom: NUMBER }, (p) => {
    const { minZoom = 1, maxZoom = 1.1 } = options
    const range = { 'minZoom … maxZoom': `${minZoom} … ${maxZoom}` }
    requireRange('zoom', range, minZoom > 0 && minZoom <= maxZoom && maxZoom < Infinity, '0 < minZoom ≤ maxZoom')
    return { minZoom, maxZoom, pZoom: p }
  })
}

/**
 * Makes a transform that tilts each item by a random perspective, each direction with probability p, in training only.
 *
 * @throws OptionError  if an option is out of range
 * Source: fastai vision/augment.py, Warp.
 */
export function warp(options: WarpOptions = {}): AffineTransform {
  return part<WarpOptions>('warp', options, { ...COORDINATE_KINDS, magnitude: NUMBER }, (p) => {
    const { magnitude = 0.2 } = options
    // From √½ on the middle of an image tilted both ways would be at infinity.
    requireRange('warp', { magnitude }, magnitude >= 0 && magnitude < Math.SQRT1_2, 'at least 0 and below √½')
    return { maxWarp: magnitude, pWarp: p }
  })
}

/**
 * Makes a transform that changes the brightness of each item in logit space with probability p, in training only.
 *
 * @throws OptionError  if an option is out of range
 * Source: fastai vision/augment.py, Brightness.
 */
export function brightness(options: LightOptions = {}): LightingTransform {
  const { maxLighting, p, batch } = checkedLight('brightness', options)
  return lighting({ maxLighting, p, maxContrast: 0, pContrast: 0, batch })
}

/**
 * Makes a transform that changes the contrast of each item in logit space with probability p, in training only.
 *
 * @throws OptionError  if an option is out of range
 * Source: fastai vision/augment.py, Contrast.
 */
export function contrast(options: LightOptions = {}): LightingTransform {
  const { maxLighting, p, batch } = checkedLight('contrast', options)
  return lighting({ maxLighting: 0, p: 0, maxContrast: maxLighting, pContrast: p, batch })
}

function part<Options extends CoordinateOptions>(
  where: string,
  options: Options,
  kinds: Kinds<Options>,
  changeOf: (p: number) => Partial<AffineOptions>,
): AffineTransform {
  checkOptions(where, options, kinds)
  const { p = 0.5, size, padMode, batch = false } = options
  requireNumber(where, 'p', p, { from: 0, to: 1 })
  checkPadMode(where, padMode)
  return affine({
    ...{ flips: 'none', maxRotate: 0, minZoom: 1, maxZoom: 1, maxWarp: 0, p: 0, batch },
    ...changeOf(p),
    ...(padMode !== undefined && { padMode }),
    size: size === undefined ? undefined : toSize(where, size),
  })
}

function checkedLight(where: string, options: LightOptions): Required<LightOptions> {
  checkOptions(where, options, { maxLighting: NUMBER, p: NUMBER, batch: FLAG })
  const { maxLighting = 0.2, p = 0.75, batch = false } = options
  requireNumber(where, 'maxLighting', maxLighting, { above: 0, below: 1 })
  requireNumber(where, 'p', p, { from: 0, to: 1 })
  return { maxLighting, p, batch }
}
