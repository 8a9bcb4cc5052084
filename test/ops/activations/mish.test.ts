import { describe, expect, test } from 'vitest'
import { mish } from '../../../src/ops/activations.ts'
import { backward } from '../../../src/tensor/backward.ts'
import { scope } from '../../../src/tensor/scope.ts'
import { elementCount, type Shape } from '../../../src/tensor/shape.ts'
import { read, tensor } from '../../../src/tensor/read-write.ts'
import { expectClose } from '../../../src/testing/close.ts'
import { expectGolden, golden, type Summary } from '../../helpers/golden.ts'
import { hashUniform } from '../../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { gradcheck, uniform } from '../../../src/testing/gradcheck.ts'

await openTestGpu()

interface Case {
  readonly name: string
  readonly seed: number
  readonly range: readonly [number, number]
  readonly y: Summary
  readonly dx: Summary
}

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
    const { y, dx } = run(data, dy, shape, dtype)
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
    const { y, dx } = run(
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
  const { y, dx } = run([1e30, 3e38, -1e30, -3e38], [1, 1, 1, 1], [4], 'f32')
  expect([...(await read(y))].map(Math.abs)).toEqual([1e30, 3e38, 0, 0].map(Math.fround))
  expect([...(await read(dx))].map(Math.abs)).toEqual([1, 1, 0, 0])
})

test.each(golden<{ cases: readonly Case[] }>('recipe_ops').cases.filter(({ name }) => name === 'mish'))(
  'torch.nn.Mish, $range',
  async ({ seed, range, y, dx }) => {
    const got = run(
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

/** The gradient of a leaf is f32 whatever the type of x, rounded to f16 once before where that is f16. */
function run(data: ArrayLike<number>, dy: ArrayLike<number>, shape: Shape, dtype: 'f32' | 'f16') {
  const x = tensor(data, shape, dtype)
  x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  const y = scope(() => {
    const made = mish(x)
    backward(made, tensor(dy, shape, dtype))
    return made
  })
  return { y, dx: x.leaf.gradient! }
}

const tanhSoftplus = (x: number) => Math.tanh(x > 30 ? x : Math.log1p(Math.exp(x)))
const value = (x: number) => x * tanhSoftplus(x)
const slope = (x: number) => tanhSoftplus(x) + (x * (1 - tanhSoftplus(x) ** 2)) / (1 + Math.exp(-x))
