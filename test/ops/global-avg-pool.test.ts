import { describe, expect, test } from 'vitest'
import { globalAvgPool } from '../../src/ops/global-avg-pool.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import { expectClose } from '../../src/testing/close.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'

await openTestGpu()

describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
  test.each([
    [3, 5, 7, 10],
    [3, 1, 1, 1],
    [2, 4, 4, 300],
    [17, 2, 3, 13],
  ])('[%i,%i,%i,%i]', async (N, H, W, C) => {
    const shape = [N, H, W, C]
    const { data } = uniform(shape, 1)
    const y = globalAvgPool(tensor(data, shape, dtype))
    expect(y).toMatchObject({ shape: [N, C], dtype })
    const want = Array.from({ length: N * C }, (_, i) => {
      let sum = 0
      for (let p = 0; p < H * W; p++) sum += data[(Math.floor(i / C) * H * W + p) * C + (i % C)]
      return sum / (H * W)
    })
    expectClose(await read(y), want, dtype, { shape: y.shape })
  })
})

test('gradient, finite differences', () =>
  gradcheck('globalAvgPool', ({ x }) => globalAvgPool(x), { x: uniform([3, 5, 4, 6], 1) }))

test('refuses what does not fit, before any work', () => {
  expect(() => globalAvgPool(zeros([2, 8]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: globalAvgPool: x must be a batch of images
      x  [2,8] f32
      expected x as [N,H,W,C]]
  `)
})
