import type { Rng } from '../../base/rng.ts'
import type { PadMode } from '../../image/resize-plan.ts'
import { drawMasked, type BatchShape } from './draw.ts'
import { dihedral, flip, identity, multiply, rotate, transform, warp, zoom, type Matrix } from './matrix.ts'

/** Options of `affine`. */
export interface AffineOptions {
  /** Flips for half of the items: none, left to right, or any symmetry of the square. */
  readonly flips: 'none' | 'horizontal' | 'dihedral'
  /** Largest rotation in degrees, in either direction; 0 for none. */
  readonly maxRotate: number
  /** Smallest magnification; 1 for none. */
  readonly minZoom: number
  /** Largest magnification; 1 for none. */
  readonly maxZoom: number
  /** Largest displacement of a corner by the perspective, as a fraction of half a side; 0 for none. */
  readonly maxWarp: number
  /** Probability of each of rotation, zoom and the two tilts, where they have none of their own. */
  readonly p: number
  /** Probability of a flip. Default 0.5 */
  readonly pFlip?: number
  /** Probability of a rotation. Default `p` */
  readonly pRotate?: number
  /** Probability of a zoom. Default `p` */
  readonly pZoom?: number
  /** Probability of each of the two tilts. Default `p` */
  readonly pWarp?: number
  /** Values beyond the border of an image. Default 'reflection' */
  readonly padMode?: PadMode
  /** True for one draw for the whole batch. */
  readonly batch: boolean
  /** [height, width] of the output; `undefined` for that of the input. */
  readonly size: readonly [number, number] | undefined
}

/** Transform that flips, rotates, zooms and tilts every item in one resampling. */
export interface AffineTransform extends AffineOptions {
  readonly kind: 'affine'
  readonly order: 30
  /** Draws, per item, the map from positions in the output to positions in the input (see matrix.ts). */
  draw(random: Rng, shape: BatchShape): Matrix[]
}

/**
 * Makes fastai's affine and coordinate transforms as one: warp · aspect(flip · rotate · zoom).
 *
 * Every parameter is drawn and masked independently; the affine part is applied first and the perspective last.
 * Source: fastai vision/augment.py, AffineCoordTfm and its *_mat functions.
 */
export function affine(options: AffineOptions): AffineTransform {
  return { kind: 'affine', order: 30, ...options, draw: (random, shape) => drawMatrices(options, random, shape) }
}

function drawMatrices(options: AffineOptions, random: Rng, { N, H, W }: BatchShape): Matrix[] {
  const { flips, maxRotate, minZoom, maxZoom, maxWarp, p, batch } = options
  const { pFlip = 0.5, pRotate = p, pZoom = p, pWarp = p } = options
  const symmetric = { p: pFlip, neutral: 0, batch }
  const shifted = { p: pWarp, neutral: 0, batch }
  const always = { p: 1, neutral: 0, batch }
  const between = (low: number, high: number) => () => random.uniform(low, high)

  const flipped = drawMasked(random, N, symmetric, () => (flips === 'dihedral' ? random.integer(0, 7) : 1))
  const degrees = drawMasked(random, N, { p: pRotate, neutral: 0, batch }, between(-maxRotate, maxRotate))
  const magnifications = drawMasked(random, N, { p: pZoom, neutral: 1, batch }, between(minZoom, maxZoom))
  const columns = drawMasked(random, N, always, between(0, 1))
  const rows = drawMasked(random, N, always, between(0, 1))
  const tiltsX = drawMasked(random, N, shifted, between(-maxWarp, maxWarp))
  const tiltsY = drawMasked(random, N, shifted, between(-maxWarp, maxWarp))

  return Array.from({ length: N }, (_, n) => {
    const mirror =
      flips === 'none' ? identity : flips === 'dihedral' ? dihedral(flipped[n]) : flipped[n] ? flip : identity
    const turned = multiply(mirror, multiply(rotate(degrees[n]), zoom(magnifications[n], columns[n], rows[n])))
    return multiply(warp(tiltsX[n], tiltsY[n]), keepAngles(turned, H, W))
  })
}

/**
 * Adapts a map for an image of H × W pixels: coordinates range from −1 to 1 along both axes, so that a rotation of a
 * non-square image must account for its aspect ratio.
 */
export function keepAngles(m: Matrix, H: number, W: number): Matrix {
  return [m[0], (m[1] * H) / W, m[2], (m[3] * W) / H, m[4], m[5], m[6], m[7], m[8]]
}

/**
 * Returns the range (largest minus smallest) of all coordinates on both axes that a batch samples: 2 if each item shows
 * exactly its whole image.
 */
export function extent(matrices: readonly Matrix[]): number {
  let low = Infinity
  let high = -Infinity
  for (const matrix of matrices) {
    // A projective map takes the grid into the hull of its corners, as long as w keeps its sign.
    for (const [cornerX, cornerY] of [
      [-1, -1],
      [-1, 1],
      [1, -1],
      [1, 1],
    ]) {
      const [x, y, w] = transform(matrix, cornerX, cornerY)
      if (w <= 0) return Infinity
      low = Math.min(low, x / w, y / w)
      high = Math.max(high, x / w, y / w)
    }
  }
  return high - low
}
