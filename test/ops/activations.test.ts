import { describe, expect, test } from 'vitest'
import * as operations from '../../src/ops/activations.ts'
import { scope } from '../../src/tensor/scope.ts'
import { elementCount, type Shape } from '../../src/tensor/shape.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { expectClose, normOf } from '../../src/testing/close.ts'
import { differentiated, type ElementwiseCase } from '../helpers/differentiated.ts'
import { expectGolden, golden } from '../helpers/golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'
import { openTestGpu } from '../helpers/gpu.ts'

const gpu = await openTestGpu()

const { gelu, hardSigmoid, hardSwish, mish, relu6, sigmoid, silu } = operations

interface Activation {
  readonly name: string
  readonly run: (x: Tensor) => Tensor
  readonly value: (x: number) => number
  readonly slope: (x: number) => number
  /** Places near which no numerical gradient exists. */
  readonly kinks?: readonly number[]
}

const logistic = (x: number) => 1 / (1 + Math.exp(-x))
const clamped = (x: number) => Math.min(Math.max(x, 0), 6)
const density = (x: number) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)

/** Distribution function of the normal distribution: Taylor's series near zero, a continued fraction further out. */
function normal(x: number): number {
  const size = Math.abs(x)
  let tail: number
  if (size < 3) {
    let [term, sum] = [size, size]
    for (let k = 1; k < 80; k++) {
      term *= (size * size) / (2 * k + 1)
      sum += term
    }
    tail = 0.5 - density(size) * sum
  } else {
    let fraction = size
    for (let k = 200; k > 0; k--) fraction = size + k / fraction
    tail = density(size) / fraction
  }
  return x < 0 ? tail : 1 - tail
}

const tanhArgument = (x: number) => Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)
const tanhSlope = (x: number) => Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x ** 2)

const ACTIVATIONS: readonly Activation[] = [
  { name: 'sigmoid', run: sigmoid, value: logistic, slope: (x) => logistic(x) * logistic(-x) },
  {
    name: 'silu',
    run: silu,
    value: (x) => x * logistic(x),
    slope: (x) => logistic(x) * (1 + x * logistic(-x)),
  },
  { name: 'gelu', run: gelu, value: (x) => x * normal(x), slope: (x) => normal(x) + x * density(x) },
  {
    name: 'gelu tanh',
    run: (x) => gelu(x, { approximate: 'tanh' }),
    value: (x) => x * logistic(2 * tanhArgument(x)),
    slope(x) {
      const s = logistic(2 * tanhArgument(x))
      const far = logistic(-2 * tanhArgument(x))
      return s + (s * far === 0 ? 0 : x * s * far * 2 * tanhSlope(x))
    },
  },
  {
    name: 'hardSigmoid',
    run: hardSigmoid,
    value: (x) => clamped(x + 3) / 6,
    slope: (x) => (Math.abs(x) < 3 ? 1 / 6 : 0),
    kinks: [-3, 3],
  },
  {
    name: 'hardSwish',
    run: hardSwish,
    value: (x) => (x * clamped(x + 3)) / 6,
    slope: (x) => (x < -3 ? 0 : x <= 3 ? x / 3 + 0.5 : 1),
    kinks: [-3, 3],
  },
  { name: 'relu6', run: relu6, value: clamped, slope: (x) => Number(x > 0 && x < 6), kinks: [0, 6] },
]

describe.each(ACTIVATIONS)('$name', ({ name, run, value, slope, kinks = [] }) => {
  describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
    test.each<[Shape, number]>([
      [[3, 5, 4, 10], 1],
      [[3, 5, 4, 9], 8],
      [[2, 3], 60],
      [[1], 2],
      [[33, 1], 6],
      [[130], 1000],
    ])('[%s] up to ±%i', async (shape, bound) => {
      const { data } = uniform(shape, 1, -bound, bound)
      const dy = uniform(shape, 2).data
      const { y, dx } = differentiated(run, data, dy, shape, dtype)
      expect(y).toMatchObject({ shape, dtype })
      expectClose(await read(y), Array.from(data, value), dtype, { name: 'y', shape })
      const slopes = Array.from(data, (x, i) => dy[i] * slope(x))
      // Halves end at 6e-8, above some slopes of the logistic function.
      const norm = Math.max(normOf(slopes), dtype === 'f16' ? 1e-3 * normOf(dy) : 0)
      expectClose(await read(dx), slopes, dtype, { name: 'dx', shape, norm })
    })

    test('no number is too large or too small', async () => {
      const x = [-65504, -1000, -100, -30, -20, -14, -9, -5, 0, 5, 9, 14, 20, 30, 88, 89, 1000, 65504]
      const ones = x.map(() => 1)
      const { y, dx } = differentiated(run, x, ones, [x.length], dtype)
      const [values, slopes] = [await read(y), await read(dx)]
      for (const [i, at] of x.entries()) {
        const near = (got: number, want: number, what: string) => {
          const allowed = dtype === 'f32' ? 2e-6 * Math.abs(want) + 1e-9 : 1e-3 * Math.abs(want) + 1e-7
          expect(Math.abs(got - want), `${what} at ${at}: ${got}, not ${want}`).toBeLessThanOrEqual(allowed)
        }
        near(values[i], value(at), 'value')
        near(slopes[i], slope(at), 'slope')
      }
    })

    test('slopes at the kinks', async () => {
      if (kinks.length === 0) return
      const { dx } = differentiated(run, kinks, [1, 1], [2], dtype)
      expectClose(await read(dx), kinks.map(slope), dtype)
    })

    test('padding stays zero', async () => {
      const y = scope(() => run(tensor([1, 2, 3, 4, 5, 6], [2, 3], dtype)))
      const stored = await gpu.queue.read(y.view)
      const numbers = dtype === 'f32' ? new Float32Array(stored) : new Uint16Array(stored)
      expect([numbers[3], numbers[7]]).toEqual([0, 0])
    })
  })

  test('the largest f32 numbers', async () => {
    const { y, dx } = differentiated(run, [1e30, 3e38, -1e30, -3e38], [1, 1, 1, 1], [4], 'f32')
    const end = (x: number) => (name.startsWith('hard') ? value(x) : x > 0 ? value(x) : 0)
    expectClose(await read(y), [1e30, 3e38, -1e30, -3e38].map(end), 'f32')
    expect([...(await read(dx))].map(Math.abs)).toEqual([slope(1e30), slope(3e38), 0, 0])
  })

  test.each(
    golden<{ activations: readonly ElementwiseCase[] }>('layers').activations.filter((one) => one.name === name),
  )('PyTorch, $range', async ({ seed, range, y, dx }) => {
    const count = elementCount(y.shape)
    const got = differentiated(
      run,
      hashUniform(count, seed, ...range),
      hashUniform(count, seed + 1, -1, 1),
      y.shape,
      'f32',
    )
    expectGolden(await read(got.y), y, 'f32', 'y')
    expectGolden(await read(got.dx), dx, 'f32', 'dx')
  })

  test('gradient', async () => {
    const { shape, data } = uniform([3, 5, 4, 10], 3, -4, 4)
    const moved = Array.from(data, (x) => (kinks.some((kink) => Math.abs(x - kink) < 1 / 16) ? x + 0.25 : x))
    await gradcheck(name, ({ x }) => run(x), { x: { shape, data: moved } })
  })
})

test('refuses a form that does not exist', () => {
  const x = tensor([1], [1])
  expect(() => gelu(x, { approximate: 'erf' } as object)).toThrow('gelu: approximate is not of the right kind')
  expect(() => gelu(x, { aproximate: 'tanh' } as object)).toThrow("there is no option 'aproximate'")
})

/** Mish is checked at numbers of its own, and without the allowance that small slopes of the others have in f16. */
describe('mish', () => {
  const tanhSoftplus = (x: number) => Math.tanh(x > 30 ? x : Math.log1p(Math.exp(x)))
  const value = (x: number) => x * tanhSoftplus(x)
  const slope = (x: number) => tanhSoftplus(x) + (x * (1 - tanhSoftplus(x) ** 2)) / (1 + Math.exp(-x))

  describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
    test.each<[Shape, number]>([
      [[3, 5, 4, 10], 1],
      [[3, 5, 4, 10], 8],
      [[2, 3], 60],
      [[1], 2],
      [[33, 1], 6],
      [[130], 1000],
    ])('[%s] up to ±%i', async (shape, bound) => {
      const { data } = uniform(shape, 1, -bound, bound)
      const dy = uniform(shape, 2).data
      const { y, dx } = differentiated(mish, data, dy, shape, dtype)
      expect(y).toMatchObject({ shape, dtype })
      expectClose(await read(y), Array.from(data, value), dtype, { name: 'y', shape })
      expectClose(
        await read(dx),
        Array.from(data, (x, i) => dy[i] * slope(x)),
        dtype,
        { name: 'dx', shape },
      )
    })

    test('no number is too large or too small', async () => {
      const x = [-65504, -1000, -100, -20, -0, 0, 20, 88, 89, 1000, 65504]
      const { y, dx } = differentiated(
        mish,
        x,
        x.map(() => 1),
        [x.length],
        dtype,
      )
      for (const [i, of] of [...(await read(y))].entries()) expect(of, `y of ${x[i]}`).toBeCloseTo(value(x[i]), 6)
      for (const [i, of] of [...(await read(dx))].entries()) {
        expect(of, `slope at ${x[i]}`).toBeCloseTo(slope(x[i]), dtype === 'f32' ? 6 : 3)
      }
    })
  })

  test('the largest f32 numbers', async () => {
    const { y, dx } = differentiated(mish, [1e30, 3e38, -1e30, -3e38], [1, 1, 1, 1], [4], 'f32')
    expect([...(await read(y))].map(Math.abs)).toEqual([1e30, 3e38, 0, 0].map(Math.fround))
    expect([...(await read(dx))].map(Math.abs)).toEqual([1, 1, 0, 0])
  })

  test.each(golden<{ cases: readonly ElementwiseCase[] }>('recipe_ops').cases.filter(({ name }) => name === 'mish'))(
    'torch.nn.Mish, $range',
    async ({ seed, range, y, dx }) => {
      const got = differentiated(
        mish,
        hashUniform(elementCount(y.shape), seed, ...range),
        hashUniform(elementCount(y.shape), seed + 1, -1, 1),
        y.shape,
        'f32',
      )
      expectGolden(await read(got.y), y, 'f32', 'y')
      expectGolden(await read(got.dx), dx, 'f32', 'dx')
    },
  )

  test('gradient', () => gradcheck('mish', ({ x }) => mish(x), { x: uniform([3, 5, 4, 10], 3, -4, 4) }))
})
