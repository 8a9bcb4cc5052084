import { requireInteger, requireNumber } from '../base/check.ts'
import { WgradError } from '../base/errors.ts'
import { checkArgument, checkOptions, FUNCTION, NUMBER, type Kind, type Kinds } from '../base/options.ts'
import { currentGpu } from '../gpu/device.ts'
import { overNaN } from '../gpu/over-nan.ts'
import { backward } from '../tensor/backward.ts'
import { halfToFloat, roundToHalf } from '../tensor/half.ts'
import { noGrad } from '../tensor/op.ts'
import { release, scope } from '../tensor/scope.ts'
import { elementCount, storedCount, storedLastAxis, type Shape } from '../tensor/shape.ts'
import { RESULT, Tensor, type Leaf } from '../tensor/tensor.ts'
import { read, tensor } from '../tensor/read-write.ts'
import { expectClose, normOf, place } from './close.ts'
import { hashUniform } from './hash-uniform.ts'

/** Numbers that become an input of a function under test. */
export interface GradcheckInput {
  readonly shape: Shape
  readonly data: ArrayLike<number>
  /** f32 also where the others are f16, as the parameters of a batch norm are. */
  readonly always?: 'f32'
}

/**
 * Makes an input of `gradcheck`: numbers uniform in [low, high), each of them a number of f16, so that a check in f16 begins
 * with the same ones as in f32.
 *
 * @param seed  the same numbers for the same seed
 */
export function uniform(shape: Shape, seed: number, low = -1, high = 1): GradcheckInput {
  return { shape, data: hashUniform(elementCount(shape), seed, low, high).map(roundToHalf) }
}

/** Options of `gradcheck`. */
export interface GradcheckOptions {
  /** Half the distance of the central difference. Default 1/64 */
  readonly step?: number
  /** Elements tried in each input, spread over it. Default 24 */
  readonly samples?: number
  /** Number of times that a gradient is rounded to f16 on its way, where operations follow one another. Default 1 */
  readonly roundings?: number
  /** Storage types to check. Default both */
  readonly dtypes?: readonly ('f32' | 'f16')[]
}

const DTYPES: Kind = {
  expected: "a list of 'f32', 'f16' or both",
  is: (value) => Array.isArray(value) && value.length > 0 && value.every((one) => one === 'f32' || one === 'f16'),
}
const KINDS: Kinds<GradcheckOptions> = { step: NUMBER, samples: NUMBER, roundings: NUMBER, dtypes: DTYPES }

const INPUT: Kind = {
  expected: '{ shape, data }, such as uniform([3, 5], 1)',
  is: (value) => {
    const { shape, data } = (value ?? {}) as Partial<GradcheckInput>
    return !(value instanceof Tensor) && Array.isArray(shape) && data !== undefined
  },
}

/** Function of named tensors that `gradcheck` checks. */
export type CheckedFunction<Name extends string> = (inputs: Readonly<Record<Name, Tensor>>) => Tensor

/**
 * Throws unless the backward pass of a function of tensors computes the gradient of L = Σ cᵢ·yᵢ, y = f(inputs). The cᵢ are
 * fixed and differ, since equal ones hide transposed results.
 *
 *   await gradcheck('swish', ({ x }) => swish(x), { x: uniform([3, 5], 1) })
 *
 * In f32 the gradient is compared with the central difference (L(x + h) − L(x − h)) / 2h. Its own error is the sum of
 * truncation, h²·L‴/6, where functions are expected to have third derivatives about as large as first ones, and the rounding
 * of y over h; four times that is allowed. In f16 the gradient is compared with that in f32. Choose numbers that are at least
 * 2h away from kinks, such as the 0 of a ReLU.
 *
 * The padding of the last axis has to be zero in the result and in the gradients, as the kernels of the library read it: give
 * an input a last axis that is no multiple of four. Kernels run on memory that is NaN, so that what they do not write is found.
 *
 * @param name  name of the function in errors: `relu: dL/dx[0,7] is 0, finite difference says 0.045`
 * @param f     function under test, whose result may have any shape
 * @throws WgradError   naming the first element whose gradient is wrong, or whose padding is not zero
 * @throws OptionError  if an argument or option is not of its kind
 * Source: PyTorch torch/autograd/gradcheck.py, gradcheck, which needs f64; WebGPU has none.
 */
export async function gradcheck<Name extends string>(
  name: string,
  f: CheckedFunction<Name>,
  given: Readonly<Record<Name, GradcheckInput>>,
  options: GradcheckOptions = {},
): Promise<void> {
  checkArgument('gradcheck', 'f', f, FUNCTION)
  checkOptions('gradcheck', options, KINDS)
  const { step = 1 / 64, samples = 24, roundings = 1, dtypes = ['f32', 'f16'] } = options
  requireNumber('gradcheck', 'step', step, { above: 0 })
  requireInteger('gradcheck', 'samples', samples, { from: 1 })
  requireNumber('gradcheck', 'roundings', roundings, { above: 0 })
  const names = Object.keys(given) as Name[]
  for (const input of names) checkArgument('gradcheck', input, given[input], INPUT)
  // Both types begin with the same numbers.
  const halves = names.map((input) => [input, { ...given[input], data: Array.from(given[input].data, roundToHalf) }])
  const operands = Object.fromEntries(halves) as Record<Name, GradcheckInput>
  const exact = await gradients(name, f, operands, names, 'f32')
  if (dtypes.includes('f32')) {
    for (const input of names) await compare(name, f, operands, input, exact[input], step, samples)
  }
  if (dtypes.includes('f16')) {
    const half = await gradients(name, f, operands, names, 'f16')
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
  f: CheckedFunction<Name>,
  operands: Readonly<Record<Name, GradcheckInput>>,
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
      const unwritten = Number.isNaN(gradient[index]) ? ' or was never written' : ''
      throw new WgradError(
        name,
        `dL/d${input}[${place(index, shape)}] is ${gradient[index]}${unwritten}, finite difference says ${difference}`,
      )
    }
  }
}

async function gradients<Name extends string>(
  name: string,
  f: CheckedFunction<Name>,
  operands: Readonly<Record<Name, GradcheckInput>>,
  names: readonly Name[],
  dtype: 'f32' | 'f16',
): Promise<Record<Name, ArrayLike<number>>> {
  const compute = () => {
    const inputs = tensors(operands, dtype)
    for (const input of names) {
      inputs[input].leaf = { trainable: true, gradient: undefined, hasGradient: false } satisfies Leaf
    }
    const y = f(inputs)
    checkArgument(name, 'the result of the function', y, RESULT)
    backward(y, tensor(cotangent(elementCount(y.shape)), y.shape, y.dtype))
    return [y, ...names.map((input) => inputs[input].leaf?.gradient)]
  }
  const [y, ...made] = overNaN(currentGpu(), () => scope(compute))
  if (y) await requireWritten(name, y)
  const entries: [Name, ArrayLike<number>][] = []
  for (const [i, gradient] of made.entries()) {
    if (!gradient) throw new WgradError(name, `no gradient reached ${names[i]}`)
    await requireZeroPadding(name, `dL/d${names[i]}`, gradient)
    entries.push([names[i], await read(gradient)])
    release(gradient)
  }
  return Object.fromEntries(entries) as Record<Name, ArrayLike<number>>
}

/** Requires zeros in the padding of a result of f, which is released, and numbers elsewhere. */
async function requireWritten(name: string, y: Tensor): Promise<void> {
  const values = await read(y)
  const index = values.findIndex((value) => Number.isNaN(value))
  const [what, fix] =
    index >= 0
      ? [`[${place(index, y.shape)}] is NaN or was never written`, 'workgroups are launched for all elements']
      : ['is 0 everywhere', 'it depends on the inputs']
  if (index >= 0 || values.every((value) => value === 0)) {
    throw new WgradError(name, `the result ${what}`, { given: { result: y }, fix: `check the kernel, and that ${fix}` })
  }
  await requireZeroPadding(name, 'the result', y)
  release(y)
}

async function requireZeroPadding(name: string, what: string, made: Tensor): Promise<void> {
  const row = storedLastAxis(made)
  const last = made.shape.at(-1) ?? 1
  if (row === last) return
  const bytes = await currentGpu().queue.read(made.view)
  const stored =
    made.dtype === 'f16' ? Array.from(new Uint16Array(bytes), halfToFloat) : Array.from(new Float32Array(bytes))
  const value = stored.slice(0, storedCount(made)).find((one, i) => i % row >= last && one !== 0)
  if (value === undefined) return
  throw new WgradError(name, `the padding of ${what} is not zero`, {
    given: { [what]: made, 'its padding': value },
    expected: `zeros, as each row of ${last} is stored as ${row} numbers`,
    fix: "write the whole of each vector: masked(value, vector, size, 0.0) of '// @use lib/mask' keeps the elements of the row",
  })
}

/** L, and ‖c‖·‖y‖ as the size that its rounding errors are relative to. */
async function lossOf<Name extends string>(
  f: CheckedFunction<Name>,
  operands: Readonly<Record<Name, GradcheckInput>>,
): Promise<{ loss: number; size: number }> {
  const y = scope(() => noGrad(() => f(tensors(operands, 'f32'))))
  const values = await read(y)
  release(y)
  const c = cotangent(values.length)
  return { loss: c.reduce((sum, weight, i) => sum + weight * values[i], 0), size: normOf(c) * normOf(values) }
}

function tensors<Name extends string>(
  operands: Readonly<Record<Name, GradcheckInput>>,
  dtype: 'f32' | 'f16',
): Record<Name, Tensor> {
  const entries = Object.entries<GradcheckInput>(operands).map(([name, { shape, data, always }]) => [
    name,
    tensor(data, shape, always ?? dtype),
  ])
  return Object.fromEntries(entries) as Record<Name, Tensor>
}

/** The weights of L, exact in f16. */
function cotangent(count: number): number[] {
  return Array.from(hashUniform(count, 12345, -1, 1), roundToHalf)
}
