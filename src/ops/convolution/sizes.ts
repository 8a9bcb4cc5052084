import { formatShape } from '../../base/format.ts'
import { padTo4, type Spec } from '../../tensor/shape.ts'

/** Sizes of a convolution, named as in the shaders: x [N,H,W,C], weight [O,R,S,C], y [N,P,Q,O]. */
export interface ConvolutionSizes {
  readonly N: number
  readonly H: number
  readonly W: number
  readonly C: number
  readonly P: number
  readonly Q: number
  readonly O: number
  readonly R: number
  readonly S: number
  readonly STRIDE: number
  readonly PAD: number
  /** Storage type of x, weight and y. */
  readonly dtype: 'f32' | 'f16'
}

/** Name of one of the three products of a convolution, as in the names of their shaders. */
export type ConvolutionPass = (typeof PASSES)[number]
/** Names of the three products of a convolution. */
export const PASSES = ['forward', 'backward-input', 'backward-weight'] as const

/** Formats the sizes of a convolution: `[16,8,8,64]→[16,8,8,128] 3×3` */
export function describeSizes({ N, H, W, C, P, Q, O, R, S }: ConvolutionSizes): string {
  return `${formatShape([N, H, W, C])}→${formatShape([N, P, Q, O])} ${R}×${S}`
}

/** Returns the number of arithmetic operations of each of the three passes, including those on padding. */
export function flopsOf({ N, P, Q, O, R, S, C }: ConvolutionSizes): number {
  return 2 * N * P * Q * O * R * S * C
}

/**
 * Returns a text of all sizes and options that identifies a pass in tables: `forward f16 [16,8,8,64]→[16,8,8,128] 3×3
 * /1 +1`.
 */
export function passKey(pass: ConvolutionPass, sizes: ConvolutionSizes): string {
  return `${pass} ${sizes.dtype} ${describeSizes(sizes)} /${sizes.STRIDE} +${sizes.PAD}`
}

/**
 * Matrix products that a pass amounts to: `classes` products of rows × columns, each element a sum of up to `depth`
 * terms.
 */
export interface Product {
  readonly rows: number
  readonly columns: number
  readonly depth: number
  readonly classes: number
}

/**
 * Returns the matrix products that a pass amounts to. The three passes of a convolution are
 *
 *   forward          y[n,p,q,o]  = Σ over r, s, c of  x[n, p·STRIDE + r − PAD, q·STRIDE + s − PAD, c] · weight[o,r,s,c]
 *   backward-input   dx[n,h,w,c] = Σ over r, s, o of  dy[n, (h + PAD − r)/STRIDE, (w + PAD − s)/STRIDE, o] · weight[o,r,s,c]
 *   backward-weight  dw[o,r,s,c] = Σ over n, p, q of  dy[n,p,q,o] · x[n, p·STRIDE + r − PAD, q·STRIDE + s − PAD, c]
 *
 * where a pixel outside its image counts as zero. Forward multiplies pixels × taps by the transposed filter bank. The
 * gradient of the input multiplies pixels × taps by the filter bank as it is stored; only the taps for which both divisions
 * come out even take part, so the pixels of x fall into STRIDE² classes with different taps, and each class is a product of
 * its own. The gradient of the weight multiplies transposed dy by pixels × taps; its sum over pixels is long and can be
 * split into slices that are added up afterwards.
 */
export function productOf(pass: ConvolutionPass, { N, H, W, C, P, Q, O, R, S, STRIDE }: ConvolutionSizes): Product {
  if (pass === 'forward') return { rows: N * P * Q, columns: O, depth: R * S * C, classes: 1 }
  if (pass === 'backward-weight') return { rows: O, columns: R * S * padTo4(C), depth: N * P * Q, classes: 1 }
  return { rows: N * Math.ceil(H / STRIDE) * Math.ceil(W / STRIDE), columns: C, depth: R * S * O, classes: STRIDE ** 2 }
}

/** Names of the two operands of a pass and of its result, as in its shaders. */
export const OPERANDS = {
  forward: ['x', 'weight', 'y'],
  'backward-input': ['dy', 'weight', 'dx'],
  'backward-weight': ['x', 'dy', 'dw'],
} as const satisfies Record<ConvolutionPass, readonly string[]>

/** Returns shape and type of an operand. */
export function operandSpec(
  name: (typeof OPERANDS)[ConvolutionPass][number],
  { N, H, W, C, P, Q, O, R, S, dtype }: ConvolutionSizes,
): Spec {
  if (name === 'weight') return { shape: [O, R, S, C], dtype }
  if (name === 'dw') return { shape: [O, R, S, C], dtype: 'f32' }
  return { shape: name === 'x' || name === 'dx' ? [N, H, W, C] : [N, P, Q, O], dtype }
}
