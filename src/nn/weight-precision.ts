import { NotFiniteError } from '../base/errors.ts'
import { oneOfTexts } from '../base/options.ts'
import { floatToHalf, halfToFloat } from '../tensor/half.ts'
import type { Shape } from '../tensor/shape.ts'
import type { StateDict } from './state-dict.ts'

/**
 * Storage of weights in a file. 'f16' stores filters and matrices in half precision, which is nearly all of a network,
 * and the rest in float32: biases, norms and running statistics are few, and variances may exceed the range of f16.
 */
export type WeightPrecision = 'f32' | 'f16'

/** Exponent bits of an infinite half, which NaN has as well. */
const HALF_INFINITY = 0x7c00

/** Check of an option that must be a `WeightPrecision`. */
export const WEIGHT_PRECISION = oneOfTexts('f32', 'f16')

/** Returns true if a tensor of this shape is stored in half precision. */
export function isStoredInHalf(shape: Shape, precision: WeightPrecision): boolean {
  return precision === 'f16' && shape.length >= 2
}

/** Rounds weights to the values that a file of a precision stores. @throws NotFiniteError  as `halvesOf` */
export function roundWeights(weights: StateDict, precision: WeightPrecision): StateDict {
  return new Map(
    [...weights].map(([name, { shape, data }]) => {
      return [
        name,
        { shape, data: isStoredInHalf(shape, precision) ? Float32Array.from(halvesOf(name, data), halfToFloat) : data },
      ]
    }),
  )
}

/**
 * Rounds each value of a weight to the nearest f16 and returns its 16 bits.
 *
 * @throws NotFiniteError  naming the weight, if a finite value would become infinite
 */
export function halvesOf(name: string, data: Float32Array): Uint16Array {
  const halves = new Uint16Array(data.length)
  for (let i = 0; i < data.length; i++) {
    halves[i] = floatToHalf(data[i])
    if ((halves[i] & HALF_INFINITY) !== HALF_INFINITY || !Number.isFinite(data[i])) continue
    throw new NotFiniteError('f16', `${name} has a value beyond the range of half precision`, {
      given: { [`${name}[${i}]`]: data[i] },
      expected: 'at most 65504',
      fix: "write it with { precision: 'f32' }",
    })
  }
  return halves
}
