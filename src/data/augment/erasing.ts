import { requireInteger, requireNumber, requireRange } from '../../base/check.ts'
import { rng, type Rng } from '../../base/rng.ts'
import { checkOptions, NUMBER } from '../../base/options.ts'
import { roundHalfToEven } from '../../image/box.ts'
import type { BatchShape } from './draw.ts'

/** Options of `randomErasing`. */
export interface ErasingOptions {
  /** Probability that a batch is changed. Default 0.5 */
  readonly p?: number
  /** Smallest fraction of the area to erase. Default 0 */
  readonly minScale?: number
  /** Largest fraction of the area to erase. Default 0.3 */
  readonly maxScale?: number
  /** Smallest height / width of a rectangle; the largest is its inverse. Default 0.3 */
  readonly minAspect?: number
  /** Largest number of rectangles that share the area. Default 1 */
  readonly maxCount?: number
}

/** Rectangles erased in one batch, in the layout that augment/erase.wgsl reads. */
export interface Erased {
  /** Top, left, bottom and right of each rectangle with exclusive ends, [maxCount,4]; unused ones are 0. */
  readonly areas: Uint32Array
  /** Position in the noise of the first pixel of each item, [N]. */
  readonly starts: Uint32Array
}

/**
 * Transform that replaces rectangles by noise, the same rectangles for all items of a batch; after all other
 * transforms, in training only.
 */
export interface ErasingTransform extends Required<ErasingOptions> {
  readonly kind: 'erasing'
  readonly order: 100
  draw(random: Rng, shape: BatchShape): Erased
}

/** Number of pixels of noise: an image of up to 256 × 256 uses each at most once. */
export const NOISE_PIXELS = 2 ** 16

/**
 * Makes a transform that replaces rectangles of a batch by N(0,1) noise, different noise for every item.
 *
 *   count = 1 … maxCount,  area = U(minScale, maxScale) · H · W / count,  aspect = exp U(ln minAspect, −ln minAspect)
 *   rectangle = round √(area · aspect) rows × round √(area / aspect) columns, at a random position, clipped at the
 *   border
 *
 * @throws OptionError  if an option is out of range
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

/** Draws begin and end of a side of a rectangle along an axis. */
function stretch(random: Rng, side: number, size: number): readonly [number, number] {
  const rounded = roundHalfToEven(side)
  const begin = random.integer(0, Math.max(size - rounded, 0))
  return [begin, Math.min(begin + rounded, size)]
}

let noise: Float32Array | undefined

/**
 * Returns N(0,1) numbers, [NOISE_PIXELS,3], the same in every run. They are drawn once, because drawing up to a third
 * of each batch would take too long; every item of every batch starts at another position.
 */
export function erasingNoise(): Float32Array {
  return (noise ??= rng(0, 'erasing').normals(3 * NOISE_PIXELS))
}
