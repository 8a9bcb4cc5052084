import { backward } from '../../src/tensor/backward.ts'
import { roundToHalf } from '../../src/tensor/half.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { release, scope } from '../../src/tensor/scope.ts'
import { elementCount, type Shape } from '../../src/tensor/shape.ts'
import type { Leaf, Tensor } from '../../src/tensor/tensor.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { expectClose, normOf, place } from './close.ts'
import { hashUniform } from './golden.ts'

/** Numbers that become an input of the function under test. */
export interface Operand {
  readonly shape: Shape
  readonly data: ArrayLike<number>
  /** f32 also where the others are f16, as the parameters of a batch norm are. */
  readonly always?: 'f32'
}

/** Uniform numbers of [low, high), each one a half, so that a test in f16 begins with the same numbers as one in f32. */
export function uniform(shape: Shape, seed: number, low = -1, high = 1): Operand {
  return { shape, data: hashUniform(elementCount(shape), seed, low, high).map(roundToHalf) }
}

export interface GradcheckOptions {
  /** Half the distance of the central difference. Default 1/64 */
  readonly step?: number
  /** Elements tried in each input, spread over it. Default 24 */
  readonly samples?: number
  /** Passed to `expectClose` for f16: how often a gradient is rounded to f16 on its way. Default 1 */
  readonly roundings?: number
  /** What to check. Default both */
  readonly dtypes?: readonly ('f32' | 'f16')[]
}

type Function<Name extends string> = (inputs: Readonly<Record<Name, Tensor>>) => Tensor

/**
 * Throws unless backward computes the gradient of L = Σ cᵢ·yᵢ, y = f(inputs). c is fixed and not uniform, since an
 * all-ones one hides transposed results.
 *
 * In f32 against the central difference (L(x + h) - L(x - h)) / 2h. Its own error: h² of truncation (h²·L‴/6, and
 * functions under test have third derivatives about as large as first ones), and the rounding of y over h, for
 * h = 1/64 about √n·2^-24·64 of ‖c‖·‖y‖; the tolerance is the sum of both. In f16 against the gradient in f32. Choose
 * operands at least 2h away from kinks.
 *
 *   relu: dL/dx[0,7] is 0, finite difference says 0.045
 */
export async function gradcheck<Name extends string>(
  name: string,
  f: Function<Name>,
  given: Readonly<Record<Name, Operand>>,
  options: GradcheckOptions = {},
): Promise<void> {
  const { step = 1 / 64, samples = 24, roundings = 1, dtypes = ['f32', 'f16'] } = options
  const names = Object.keys(given) as Name[]
  // Both types begin with the same numbers.
  const halves = names.map((input) => [input, { ...given[input], data: Array.from(given[input].data, roundToHalf) }])
  const operands = Object.fromEntries(halves) as Record<Name, Operand>
  const exact = await gradients(f, operands, names, 'f32')
  if (dtypes.includes('f32')) {
    for (const input of names) await compare(name, f, operands, input, exact[input], step, samples)
  }
  if (dtypes.includes('f16')) {
    const half = await gradients(f, operands, names, 'f16')
    for (const input of names) {
      expectClose(half[input], exact[input], operands[input].always ?? 'f16', {
        name: `${name}: dL/d${input} in f16`,
        shape: operands[input].shape,
        roundings,
      })
    }
  }
}

async function compare<Name extends string>(
  name: string,
  f: Function<Name>,
  operands: Readonly<Record<Name, Operand>>,
  input: Name,
  gradient: ArrayLike<number>,
  step: number,
  samples: number,
): Promise<void> {
  const { shape, data } = operands[input]
  const count = elementCount(shape)
  const typical = normOf(gradient) / Math.sqrt(count)
  const tried = Math.min(samples, count)
  for (let k = 0; k < tried; k++) {
    const index = Math.floor(((k + 0.5) * count) / tried)
    const moved = async (by: number) => {
      const values = Float32Array.from(data)
      values[index] += by
      return { ...(await lossOf(f, { ...operands, [input]: { ...operands[input], data: values } })), at: values[index] }
    }
    const above = await moved(step)
    const below = await moved(-step)
    const difference = (above.loss - below.loss) / (above.at - below.at)
    const truncation = step * step * Math.max(Math.abs(difference), typical)
    const rounding = (2 ** -24 * above.size) / step
    if (!(Math.abs(gradient[index] - difference) <= 4 * (truncation + rounding))) {
      throw new Error(
        `${name}: dL/d${input}[${place(index, shape)}] is ${gradient[index]}, finite difference says ${difference}`,
      )
    }
  }
}

async function gradients<Name extends string>(
  f: Function<Name>,
  operands: Readonly<Record<Name, Operand>>,
  names: readonly Name[],
  dtype: 'f32' | 'f16',
): Promise<Record<Name, ArrayLike<number>>> {
  const made = scope(() => {
    const inputs = tensors(operands, dtype)
    for (const input of names) {
      inputs[input].leaf = { trainable: true, gradient: undefined, hasGradient: false } satisfies Leaf
    }
    const y = f(inputs)
    backward(y, tensor(cotangent(elementCount(y.shape)), y.shape, y.dtype))
    return names.map((input) => inputs[input].leaf?.gradient)
  })
  const entries: [Name, ArrayLike<number>][] = []
  for (const [i, gradient] of made.entries()) {
    if (!gradient) throw new Error(`no gradient reached ${names[i]}`)
    entries.push([names[i], await read(gradient)])
    release(gradient)
  }
  return Object.fromEntries(entries) as Record<Name, ArrayLike<number>>
}

/** L, and ‖c‖·‖y‖ as the size that its rounding errors are relative to. */
async function lossOf<Name extends string>(
  f: Function<Name>,
  operands: Readonly<Record<Name, Operand>>,
): Promise<{ loss: number; size: number }> {
  const y = scope(() => noGrad(() => f(tensors(operands, 'f32'))))
  const values = await read(y)
  release(y)
  const c = cotangent(values.length)
  return { loss: c.reduce((sum, weight, i) => sum + weight * values[i], 0), size: normOf(c) * normOf(values) }
}

function tensors<Name extends string>(
  operands: Readonly<Record<Name, Operand>>,
  dtype: 'f32' | 'f16',
): Record<Name, Tensor> {
  const entries = Object.entries<Operand>(operands).map(([name, { shape, data, always }]) => [
    name,
    tensor(data, shape, always ?? dtype),
  ])
  return Object.fromEntries(entries) as Record<Name, Tensor>
}

/** The weights of L, exact in f16. */
function cotangent(count: number): number[] {
  return Array.from(hashUniform(count, 12345, -1, 1), roundToHalf)
}
