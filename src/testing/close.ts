import { WgradError } from '../base/errors.ts'
import { ANY, checkOptions, NUMBER, TEXT, type Kinds } from '../base/options.ts'
import type { Shape } from '../tensor/shape.ts'

/**
 * Returns the tolerance of a result relative to the norm of the tensor.
 *
 * f32: 1e-5. One rounding is 2^-24 = 6e-8; a sum of n products in any order strays by about √n of them, 4e-6 for the
 * 4608 products of the longest convolution here, and a sum of partial sums by less.
 * f16: the loss of a result computed in f32 when it is stored, at most 2^-11 of each element, so at most 2^-11 of the
 * norm. For a result that passes through f16 several times (a chain of operations), pass `roundings`.
 */
export function toleranceOf(dtype: 'f32' | 'f16', roundings = 1): number {
  return dtype === 'f32' ? 1e-5 : roundings * 2 ** -11 + 1e-5
}

/** A single element may be this many tolerances (of itself, or of a typical element where it is small) away. */
const ELEMENT_SLACK = 8

/** Options of `expectClose`. */
export interface CloseOptions {
  /** Number of times the result was rounded to f16. Default 1 */
  readonly roundings?: number
  /** Norm of the tensor, if that of `expected` would mislead because large numbers cancel. */
  readonly norm?: number
  /** Shape of the tensor, so that the message can name [n,h,w,c] instead of an index. */
  readonly shape?: Shape
  /** Name of the tensor in the message. Default 'tensor' */
  readonly name?: string
}

const KINDS: Kinds<CloseOptions> = { roundings: NUMBER, norm: NUMBER, shape: ANY, name: TEXT }

/**
 * Throws unless ‖actual - expected‖ ≤ tolerance · ‖expected‖ and no single element is far off; says which is worst.
 *
 *   y: 3.1e-4 of the norm is wrong, 1e-5 allowed; worst is [2,0,5,1]: 0.25, expected 0.75
 *
 * @param dtype  storage type of the result, which decides the tolerance (see `toleranceOf`)
 * @throws WgradError
 */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  dtype: 'f32' | 'f16',
  options: CloseOptions = {},
): void {
  checkOptions('expectClose', options, KINDS)
  const { roundings = 1, shape, name = 'tensor' } = options
  if (actual.length !== expected.length) {
    throw new WgradError(name, `${actual.length} elements, expected ${expected.length}`)
  }
  const norm = options.norm ?? normOf(expected)
  const typical = norm / Math.sqrt(expected.length)
  const tolerance = toleranceOf(dtype, roundings)
  let squares = 0
  let worst = { excess: -1, index: 0 }
  for (let i = 0; i < expected.length; i++) {
    // Infinities are equal to themselves; a NaN is as far from anything as can be.
    const error = actual[i] === expected[i] ? 0 : Math.abs(actual[i] - expected[i])
    const distance = Number.isNaN(error) ? Infinity : error
    squares += distance * distance
    const excess = distance / Math.max(Math.abs(expected[i]), typical, Number.MIN_VALUE)
    if (excess > worst.excess) worst = { excess, index: i }
  }
  const wrong = norm > 0 ? Math.sqrt(squares) / norm : Math.sqrt(squares)
  if (wrong <= tolerance && worst.excess <= ELEMENT_SLACK * tolerance) return
  const { index } = worst
  throw new WgradError(
    name,
    `${wrong.toExponential(1)} of the norm is wrong, ${tolerance.toExponential(1)} allowed; ` +
      `worst is [${place(index, shape)}]: ${actual[index]}, expected ${expected[index]}`,
  )
}

/** Returns √Σx², in f64. */
export function normOf(values: ArrayLike<number>): number {
  let squares = 0
  for (let i = 0; i < values.length; i++) squares += values[i] * values[i]
  return Math.sqrt(squares)
}

/** Formats the place of an element as its coordinates, for instance `2,0,5,1`. */
export function place(index: number, shape: Shape | undefined): string {
  if (!shape) return String(index)
  const coordinates: number[] = []
  for (let axis = shape.length - 1, rest = index; axis >= 0; axis--) {
    coordinates.unshift(rest % shape[axis])
    rest = Math.floor(rest / shape[axis])
  }
  return coordinates.join(',')
}
