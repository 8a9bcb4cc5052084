import { describe, expect, test } from 'vitest'
import { concat } from '../../src/ops/concat.ts'
import { add } from '../../src/ops/add.ts'
import { globalAvgPool } from '../../src/ops/global-avg-pool.ts'
import { globalMaxPool } from '../../src/ops/global-max-pool.ts'
import { backward } from '../../src/tensor/backward.ts'
import { padTo4 } from '../../src/tensor/shape.ts'
import { Tensor } from '../../src/tensor/tensor.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import { channelsFirst, channelsLast, expectGolden, golden, type Summary } from '../helpers/golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'

await openTestGpu()

describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
  test.each([
    [[5], 4, 8],
    [[3], 1, 1],
    [[7], 5, 6],
    // Rows of b without padding, and one of y with some.
    [[3], 5, 4],
    [[2, 3, 5], 7, 130],
    [[3], 13, 2],
  ] as const)('[%o, %i and %i]', async (rows, A, B) => {
    const a = uniform([...rows, A], 1)
    const b = uniform([...rows, B], 2)
    const y = concat(tensor(a.data, a.shape, dtype), tensor(b.data, b.shape, dtype))
    expect(y).toMatchObject({ shape: [...rows, A + B], dtype })
    const count = rows.reduce((product: number, axis) => product * axis, 1)
    const want = Array.from({ length: count }, (_, r) => [
      ...Array.from(a.data).slice(r * A, (r + 1) * A),
      ...Array.from(b.data).slice(r * B, (r + 1) * B),
    ])
    expect([...(await read(y))]).toEqual(want.flat())
    const stored = new Tensor({ shape: [count, padTo4(A + B)], dtype }, y.storage)
    const padding = [...(await read(stored))].filter((_, i) => i % padTo4(A + B) >= A + B)
    expect(padding.every((value) => value === 0)).toBe(true)
  })
})

interface Golden {
  readonly cases: readonly { name: string; seed: number; x: { shape: number[] }; y: Summary; dx: Summary }[]
}

test.each(golden<Golden>('head_ops').cases.filter(({ name }) => name === 'concatPool'))(
  "fastai's concat pool as in PyTorch, $x.shape",
  async ({ seed, x: { shape }, y: wantY, dx }) => {
    const [N, C, H, W] = shape
    const x = tensor(channelsLast(hashUniform(N * C * H * W, seed, -1, 1), shape), [N, H, W, C])
    x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    const y = concat(globalMaxPool(x), globalAvgPool(x))
    expectGolden(await read(y), wantY)
    backward(y, tensor(hashUniform(2 * N * C, seed + 1, -1, 1), y.shape))
    expectGolden(channelsFirst(await read(x.leaf.gradient!), x.shape), dx)
  },
)

test('gradients, finite differences', async () => {
  await gradcheck('concat', ({ a, b }) => concat(a, b), { a: uniform([3, 5], 1), b: uniform([3, 6], 2) })
  // Of one tensor twice, the gradients add up.
  await gradcheck('concat', ({ a, b }) => concat(add(a, b), a), { a: uniform([2, 7], 3), b: uniform([2, 7], 4) })
})

test('refuses what does not fit, before any work', () => {
  expect(() => concat(zeros([2, 8]), zeros([3, 8]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: concat: the shapes differ in more than the last axis
      a  [2,8] f32
      b  [3,8] f32
      expected b as [2,any number]]
  `)
  expect(() => concat(zeros([2, 8]), zeros([2, 1, 8]))).toThrow('the shapes differ in more than the last axis')
  expect(() => concat(zeros([2, 8]), tensor([1, 2], [2, 1], 'f16'))).toThrow('the storage types differ')
})
