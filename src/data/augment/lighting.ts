import type { Rng } from '../../base/rng.ts'
import { drawMasked } from './draw.ts'

/** Options of `lighting`. */
export interface LightingOptions {
  /** Largest relative change of the brightness from ½ and of the contrast from 1, at least 0 and below 1. */
  readonly maxLighting: number
  /** Probability of each of the two changes. */
  readonly p: number
  /** Largest relative change of the contrast. Default `maxLighting` */
  readonly maxContrast?: number
  /** Probability of a change of the contrast. Default `p` */
  readonly pContrast?: number
  /** True for one draw for the whole batch. */
  readonly batch: boolean
}

/** Change of brightness and contrast of one item; ½ and 1 mean no change. */
export interface Light {
  readonly brightness: number
  readonly contrast: number
}

/** Transform that changes brightness and contrast of every item in logit space; in training only. */
export interface LightingTransform extends LightingOptions {
  readonly kind: 'lighting'
  readonly order: 40
  draw(random: Rng, N: number): Light[]
}

/**
 * Makes a transform that changes brightness, then contrast: y = sigmoid((logit(x) + logit(brightness)) · contrast).
 *
 *   brightness = U(½(1 − m), ½(1 + m)),  contrast = exp U(ln(1 − m), −ln(1 − m)),  m = maxLighting
 *   or maxContrast
 *
 * Source: fastai vision/augment.py, Brightness, Contrast and LightingTfm.
 */
export function lighting(options: LightingOptions): LightingTransform {
  const { maxLighting, p, batch } = options
  const { maxContrast = maxLighting, pContrast = p } = options
  const low = Math.log(1 - maxContrast)
  return {
    kind: 'lighting',
    order: 40,
    ...options,
    draw(random, N) {
      const around = () => 0.5 * random.uniform(1 - maxLighting, 1 + maxLighting)
      const brightness = drawMasked(random, N, { p, neutral: 0.5, batch }, around)
      const contrast = drawMasked(random, N, { p: pContrast, neutral: 1, batch }, () =>
        Math.exp(random.uniform(low, -low)),
      )
      return Array.from({ length: N }, (_, n) => ({ brightness: brightness[n], contrast: contrast[n] }))
    },
  }
}
