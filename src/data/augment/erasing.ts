import { requireInteger, requireNumber, requireRange } from '../../base/check.ts'
import { rng, type Rng } from '../../base/rng.ts'
import { checkOptions, NUMBER } from '../../base/options.ts'
import { roundHalfToEven } from '../../image/box.ts'
import type { BatchShape } from './draw.ts'

export interface ErasingOptions {
  /** How likely a batch loses anything. Default 0.5 */
  readonly p?: number
  /** Smallest and largest part of the area to erase. Default 0 and 0.3 */
  readonly minScale?: number
  readonly maxScale?: number
  /** Smallest height / width of a rectangle; the largest is its inverse. Default 0.3 */
  readonly minAspect?: number
  /** Rectangles that share the area: 1 to that many. Default 1 */
  readonly maxCount?: number
}

/** What is erased of one batch, as augment/erase.wgsl reads it. */
export interface Erased {
  /** Top, left, bottom and right of each rectangle, the ends excluded; [maxCount,4], of which those not used are 0. */
  readonly areas: Uint32Array
  /** Where in the noise the first pixel of each item lies. */
  readonly starts: Uint32Array
}

/** Rectangles of noise in place of the picture, the same in all of a batch; after everything else, in training only. */
export interface ErasingTransform extends Required<ErasingOptions> {
  readonly kind: 'erasing'
  readonly order: 100
  draw(random: Rng, shape: BatchShape): Erased
}

/** Pixels of noise: a picture of up to 256 × 256 meets none of them twice. */
export const NOISE_PIXELS = 2 ** 16

/**
 * Replaces rectangles of a batch by N(0,1) noise, other noise for every item.
 *
 *   count = 1 … maxCount,  area = U(minScale, maxScale) · H · W / count,  aspect = exp U(ln minAspect, −ln minAspect)
 *   rectangle = round √(area · aspect) rows × round √(area / aspect) columns, anywhere; what is beyond the border is cut
 *
 * @throws OptionError  when an option is out of its range
 * Source: fastai vision/augment.py, RandomErasing; Zhong et al. 2017, arXiv:1708.04896.
 */
export function randomErasing(options: ErasingOptions = {}): ErasingTransform {
  checkOptions('randomErasing', options, {
    p: NUMBER,
    minScale: NUMBER,
    maxScale: NUMBER,
    minAspect: NUMBER,
    maxCount: NUMBER,
  })
  const { p = 0.5, minScale = 0, maxScale = 0.3, minAspect = 0.3, maxCount = 1 } = options
  requireNumber('randomErasing', 'p', p, { from: 0, to: 1 })
  const isRange = minScale >= 0 && minScale <= maxScale && maxScale <= 1
  requireRange('randomErasing', { minScale, maxScale }, isRange, '0 ≤ minScale ≤ maxScale ≤ 1')
  requireNumber('randomErasing', 'minAspect', minAspect, { above: 0, to: 1 })
  requireInteger('randomErasing', 'maxCount', maxCount, { from: 1 })
  const logAspect = -Math.log(minAspect)
  return {
    kind: 'erasing',
    order: 100,
    p,
    minScale,
    maxScale,
    minAspect,
    maxCount,
    draw(random, { N, H, W }) {
      const areas = new Uint32Array(4 * maxCount)
      const count = random.bernoulli(p) ? random.integer(1, maxCount) : 0
      for (let i = 0; i < count; i++) {
        const area = (random.uniform(minScale, maxScale) * H * W) / count
        const aspect = Math.exp(random.uniform(-logAspect, logAspect))
        const [top, bottom] = stretch(random, Math.sqrt(area * aspect), H)
        const [left, right] = stretch(random, Math.sqrt(area / aspect), W)
        areas.set([top, left, bottom, right], 4 * i)
      }
      return { areas, starts: Uint32Array.from({ length: N }, () => random.integer(0, NOISE_PIXELS - 1)) }
    },
  }
}

/** Begin and end of a side that long, somewhere along an axis. */
function stretch(random: Rng, side: number, size: number): readonly [number, number] {
  const rounded = roundHalfToEven(side)
  const begin = random.integer(0, Math.max(size - rounded, 0))
  return [begin, Math.min(begin + rounded, size)]
}

let noise: Float32Array | undefined

/**
 * N(0,1) numbers, [NOISE_PIXELS,3], the same in every run. Drawn once, because a third of a batch is too much to draw
 * for each: every item of every batch begins at another place.
 */
export function erasingNoise(): Float32Array {
  if (!noise) {
    const random = rng(0, 'erasing')
    noise = Float32Array.from({ length: 3 * NOISE_PIXELS }, () => random.normal())
  }
  return noise
}
