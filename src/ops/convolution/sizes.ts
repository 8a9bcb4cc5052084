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

/** The three products of a convolution, as their shaders are called. */
export type Pass = (typeof PASSES)[number]
export const PASSES = ['forward', 'backward-input', 'backward-weight'] as const

/** `[16,8,8,64]→[16,8,8,128] 3×3` */
export function describeSizes({ N, H, W, C, P, Q, O, R, S }: ConvolutionSizes): string {
  return `${formatShape([N, H, W, C])}→${formatShape([N, P, Q, O])} ${R}×${S}`
}

/** Arithmetic operations of each of the three passes, those with the zeros beyond the border included. */
export function flopsOf({ N, P, Q, O, R, S, C }: ConvolutionSizes): number {
  return 2 * N * P * Q * O * R * S * C
}

/** Every size and option in one text, which names a pass in tables: `forward f16 [16,8,8,64]→[16,8,8,128] 3×3 /1 +1`. */
export function passKey(pass: Pass, sizes: ConvolutionSizes): string {
  return `${pass} ${sizes.dtype} ${describeSizes(sizes)} /${sizes.STRIDE} +${sizes.PAD}`
}

/** A pass as what it is to a GPU: `classes` matrix products of rows × columns, each result the sum of up to `depth` products. */
export interface Product {
  readonly rows: number
  readonly columns: number
  readonly depth: number
  readonly classes: number
}

export function productOf(pass: Pass, { N, H, W, C, P, Q, O, R, S, STRIDE }: ConvolutionSizes): Product {
  if (pass === 'forward') return { rows: N * P * Q, columns: O, depth: R * S * C, classes: 1 }
  if (pass === 'backward-weight') return { rows: O, columns: R * S * padTo4(C), depth: N * P * Q, classes: 1 }
  // One class of pixels for each position within a stride, see the shaders.
  return { rows: N * Math.ceil(H / STRIDE) * Math.ceil(W / STRIDE), columns: C, depth: R * S * O, classes: STRIDE ** 2 }
}

/** The two operands of a pass and its result, as its shaders name them. */
export const OPERANDS = {
  forward: ['x', 'weight', 'y'],
  'backward-input': ['dy', 'weight', 'dx'],
  'backward-weight': ['x', 'dy', 'dw'],
} as const satisfies Record<Pass, readonly string[]>

/** Shape and type of an operand. */
export function operandSpec(
  name: (typeof OPERANDS)[Pass][number],
  { N, H, W, C, P, Q, O, R, S, dtype }: ConvolutionSizes,
): Spec {
  if (name === 'weight') return { shape: [O, R, S, C], dtype }
  if (name === 'dw') return { shape: [O, R, S, C], dtype: 'f32' }
  return { shape: name === 'x' || name === 'dx' ? [N, H, W, C] : [N, P, Q, O], dtype }
}
