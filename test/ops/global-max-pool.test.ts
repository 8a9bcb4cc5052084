import { describe, expect, test } from 'vitest'
import { globalMaxPool } from '../../src/ops/global-max-pool.ts'
import { backward } from '../../src/tensor/backward.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import { channelsFirst, channelsLast, expectGolden, golden, type Summary } from '../helpers/golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'

await openTestGpu()

const trainable = () => ({ trainable: true, gradient: undefined, hasGradient: false })

describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
  test.each([
    [3, 5, 7, 10],
    [3, 1, 1, 1],
    [2, 4, 4, 300],
    [17, 2, 3, 13],
  ])('[%i,%i,%i,%i]', async (N, H, W, C) => {
    const shape = [N, H, W, C]
    const { data } = uniform(shape, 1)
    const y = globalMaxPool(tensor(data, shape, dtype))
    expect(y).toMatchObject({ shape: [N, C], dtype })
    const want = Array.from({ length: N * C }, (_, i) => {
      let largest = -Infinity
      for (let p = 0; p < H * W; p++) largest = Math.max(largest, data[(Math.floor(i / C) * H * W + p) * C + (i % C)])
      return largest
    })
    expect([...(await read(y))]).toEqual(want)
  })
})

interface Golden {
  readonly cases: readonly { name: string; seed: number; x: { shape: number[] }; y: Summary; dx: Summary }[]
}

test.each(golden<Golden>('head_ops').cases.filter(({ name }) => name === 'globalMaxPool'))(
  'as in PyTorch, $x.shape',
  async ({ seed, x: { shape }, y: wantY, dx }) => {
    const [N, C, H, W] = shape
    const x = tensor(channelsLast(hashUniform(N * C * H * W, seed, -1, 1), shape), [N, H, W, C])
    x.leaf = trainable()
    const y = globalMaxPool(x)
    expectGolden(await read(y), wantY)
    backward(y, tensor(hashUniform(N * C, seed + 1, -1, 1), [N, C]))
    expectGolden(channelsFirst(await read(x.leaf.gradient!), x.shape), dx)
  },
)

test('the first of equal values has the gradient, and a NaN passes', async () => {
  const x = tensor([2, NaN, 1, 2, 5, 1, 0, 3, 1], [1, 3, 1, 3])
  x.leaf = trainable()
  const y = globalMaxPool(x)
  expect([...(await read(y))]).toEqual([2, NaN, 1])
  backward(y, tensor([1, 2, 3], [1, 3]))
  expect([...(await read(x.leaf.gradient!))]).toEqual([1, 2, 3, 0, 0, 0, 0, 0, 0])
})

test('gradient, finite differences', () =>
  // Values of a channel differ by more than two steps.
  gradcheck('globalMaxPool', ({ x }) => globalMaxPool(x), {
    x: { shape: [3, 2, 3, 5], data: Array.from({ length: 90 }, (_, i) => ((i * 37) % 90) / 16 - 3) },
  }))

test('refuses what does not fit, before any work', () => {
  expect(() => globalMaxPool(zeros([2, 8]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: globalMaxPool: x must be a batch of images
      x  [2,8] f32
      expected x as [N,H,W,C]]
  `)
})
