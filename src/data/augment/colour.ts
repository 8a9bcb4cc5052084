import { requireNumber } from '../../base/check.ts'
import type { Rng } from '../../base/rng.ts'
import { checkOptions, FLAG, NUMBER } from '../../base/options.ts'
import { drawMasked } from './draw.ts'

export interface SaturationOptions {
  /** How far the saturation leaves 1, relatively; above 0 and below 1. Default 0.2 */
  readonly maxLighting?: number
  /** How likely it changes. Default 0.75 */
  readonly p?: number
  /** One draw for the whole batch. Default false */
  readonly batch?: boolean
}

/** Saturation of every item, in logit space, after brightness and contrast; in training only. */
export interface SaturationTransform extends Required<SaturationOptions> {
  readonly kind: 'saturation'
  readonly order: 40
  /** A factor for every item; 1 leaves it. */
  draw(random: Rng, N: number): number[]
}

/**
 * Mixes the logits of the colours with that of their grey: z = s · logit(x) + (1 − s) · grey(logit(x)).
 *
 *   s = exp U(ln(1 − m), −ln(1 − m)),  m = maxLighting
 *
 * @throws OptionError  when an option is out of its range
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

export interface HueOptions {
  /** How far the hue turns, in parts of the whole circle; above 0 and below 1. Default 0.1 */
  readonly maxHue?: number
  /** How likely it changes. Default 0.75 */
  readonly p?: number
  /** One draw for the whole batch. Default false */
  readonly batch?: boolean
}

/** Hue of every item, after all that is done to its light; in training only. */
export interface HueTransform extends Required<HueOptions> {
  readonly kind: 'hue'
  readonly order: 40
  /** A part of the circle for every item; 0 leaves it. */
  draw(random: Rng, N: number): number[]
}

/**
 * Turns the hue of every pixel, as HSV has it, keeping its largest and smallest colour.
 *
 *   turn = exp U(ln(1 − m), −ln(1 − m)) − 1,  m = maxHue
 *
 * @throws OptionError  when an option is out of its range
 * Source: fastai vision/augment.py, Hue; it adds the exponential itself, a whole turn more, which is the same hue.
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
