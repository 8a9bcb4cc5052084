import { requireNumber } from '../../base/check.ts'
import type { Rng } from '../../base/rng.ts'
import { checkOptions, FLAG, NUMBER } from '../../base/options.ts'
import { drawMasked } from './draw.ts'

/** Options of `saturation`. */
export interface SaturationOptions {
  /** Largest relative change of the saturation, above 0 and below 1. Default 0.2 */
  readonly maxLighting?: number
  /** Probability of a change. Default 0.75 */
  readonly p?: number
  /** True for one draw for the whole batch. Default false */
  readonly batch?: boolean
}

/**
 * Transform that changes the saturation of every item in logit space, after brightness and contrast; in training only.
 */
export interface SaturationTransform extends Required<SaturationOptions> {
  readonly kind: 'saturation'
  readonly order: 40
  /** Draws one factor per item; 1 means no change. */
  draw(random: Rng, N: number): number[]
}

/**
 * Makes a transform that mixes the logits of the colors with that of their gray: z = s · logit(x) + (1 − s) ·
 * gray(logit(x)).
 *
 *   s = exp U(ln(1 − m), −ln(1 − m)),  m = maxLighting
 *
 * @throws OptionError  if an option is out of range
 * Source: fastai vision/augment.py, Saturation and grayscale.
 */
export function saturation(options: SaturationOptions = {}): SaturationTransform {
  checkOptions('saturation', options, { maxLighting: NUMBER, p: NUMBER, batch: FLAG })
  const { maxLighting = 0.2, p = 0.75, batch = false } = options
  check('saturation', 'maxLighting', maxLighting, p)
  const log = -Math.log(1 - maxLighting)
  return {
    kind: 'saturation',
    order: 40,
    maxLighting,
    p,
    batch,
    draw: (random, N) => drawMasked(random, N, { p, neutral: 1, batch }, () => Math.exp(random.uniform(-log, log))),
  }
}

/** Options of `hue`. */
export interface HueOptions {
  /** Largest rotation of the hue, as a fraction of the full circle, above 0 and below 1. Default 0.1 */
  readonly maxHue?: number
  /** Probability of a change. Default 0.75 */
  readonly p?: number
  /** True for one draw for the whole batch. Default false */
  readonly batch?: boolean
}

/** Transform that changes the hue of every item, after brightness, contrast and saturation; in training only. */
export interface HueTransform extends Required<HueOptions> {
  readonly kind: 'hue'
  readonly order: 40
  /** Draws one fraction of the full circle per item; 0 means no change. */
  draw(random: Rng, N: number): number[]
}

/**
 * Makes a transform that rotates the hue of every pixel in HSV, which keeps the largest and the smallest color
 * component.
 *
 *   turn = exp U(ln(1 − m), −ln(1 − m)) − 1,  m = maxHue
 *
 * @throws OptionError  if an option is out of range
 * Source: fastai vision/augment.py, Hue; it adds the exponential itself, one full turn more, which is the same hue.
 */
export function hue(options: HueOptions = {}): HueTransform {
  checkOptions('hue', options, { maxHue: NUMBER, p: NUMBER, batch: FLAG })
  const { maxHue = 0.1, p = 0.75, batch = false } = options
  check('hue', 'maxHue', maxHue, p)
  const log = -Math.log(1 - maxHue)
  return {
    kind: 'hue',
    order: 40,
    maxHue,
    p,
    batch,
    draw: (random, N) => drawMasked(random, N, { p, neutral: 0, batch }, () => Math.exp(random.uniform(-log, log)) - 1),
  }
}

function check(where: string, name: string, maximum: number, p: number): void {
  requireNumber(where, name, maximum, { above: 0, below: 1 })
  requireNumber(where, 'p', p, { from: 0, to: 1 })
}
