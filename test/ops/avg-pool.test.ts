import { describe, expect, test } from 'vitest'
import { avgPool, type AvgPoolOptions } from '../../src/ops/avg-pool.ts'
import { backward } from '../../src/tensor/backward.ts'
import { scope } from '../../src/tensor/scope.ts'
import type { Shape } from '../../src/tensor/shape.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import { expectClose } from '../../src/testing/close.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'

await openTestGpu()

/** x, options, and height and width of y as PyTorch has them. */
const CASES: readonly [Shape, AvgPoolOptions, readonly [number, number]][] = [
  [[3, 7, 6, 10], { kernelSize: 2, stride: 2, ceilMode: true }, [4, 3]],
  [[3, 8, 9, 3], { kernelSize: 2, stride: 2, ceilMode: true }, [4, 5]],
  [[3, 8, 9, 3], { kernelSize: 2, stride: 2 }, [4, 4]],
  [[2, 9, 6, 13], { kernelSize: 3, stride: 1 }, [7, 4]],
  [[2, 8, 7, 5], { kernelSize: 3, stride: 2, ceilMode: true }, [4, 3]],
  [[1, 6, 5, 5], { kernelSize: 2, stride: 3, ceilMode: true }, [2, 2]],
  [[2, 1, 1, 4], { kernelSize: 2, stride: 2, ceilMode: true }, [1, 1]],
  [[1, 9, 10, 1], { kernelSize: 1, stride: 4 }, [3, 3]],
]

describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
  test.each(CASES)('[%s] %o → %o', async (shape, options, [P, Q]) => {
    const { data } = uniform(shape, 1)
    const dy = uniform([shape[0], P, Q, shape[3]], 2)
    const x = tensor(data, shape, dtype)
    x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    const y = scope(() => {
      const made = avgPool(x, options)
      backward(made, tensor(dy.data, made.shape, dtype))
      return made
    })
    expect(y).toMatchObject({ shape: dy.shape, dtype })
    const want = reference(shape, data, options, [P, Q], dy.data)
    expectClose(await read(y), want.y, dtype, { name: 'y', shape: y.shape })
    expectClose(await read(x.leaf.gradient!), want.dx, dtype, { name: 'dx', shape })
  })
})

test('windows that overhang divide by the pixels there are', async () => {
  const y = avgPool(tensor([0, 1, 2, 3, 4, 5, 6, 7, 8], [1, 3, 3, 1]), { kernelSize: 2, stride: 2, ceilMode: true })
  expect([...(await read(y))]).toEqual([2, 3.5, 6.5, 8])
})

test('more images than a dimension of a grid has workgroups', async () => {
  const shape = [70000, 2, 2, 1]
  const x = tensor(
    Float32Array.from({ length: 4 * 70000 }, (_, i) => (i % 4) * Math.floor(i / 4)),
    shape,
  )
  x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  const y = scope(() => {
    const made = avgPool(x, { kernelSize: 2, stride: 2 })
    backward(
      made,
      tensor(
        Float32Array.from({ length: 70000 }, (_, n) => n),
        made.shape,
      ),
    )
    return made
  })
  expect(await read(y)).toEqual(Float32Array.from({ length: 70000 }, (_, n) => 1.5 * n))
  expect(await read(x.leaf.gradient!)).toEqual(
    Float32Array.from({ length: 4 * 70000 }, (_, i) => Math.floor(i / 4) / 4),
  )
})

test('gradient, finite differences', () =>
  gradcheck('avgPool', ({ x }) => avgPool(x, { kernelSize: 2, stride: 2, ceilMode: true }), {
    x: uniform([3, 5, 4, 3], 1),
  }))

test('refuses what does not fit, before any work', () => {
  const x = zeros([2, 4, 4, 3])
  expect(() => avgPool(zeros([4, 4, 3]), { kernelSize: 2, stride: 2 })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: avgPool: x must be a batch of images
      x  [4,4,3] f32
      expected x as [N,H,W,C]]
  `)
  expect(() => avgPool(x, { kernelSize: 5, stride: 2 })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: avgPool: the window is larger than the image
      x           [2,4,4,3] f32
      kernelSize  5
      Fix: use a smaller kernelSize, or ceilMode]
  `)
  expect(() => avgPool(x, { kernelSize: 1.5, stride: 2 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: avgPool: kernelSize is out of range
      kernelSize  1.5
      expected a whole number from 1 on]
  `)
  expect(() => avgPool(x, { kernelSize: 2, stride: 0 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: avgPool: stride is out of range
      stride  0
      expected a whole number from 1 on]
  `)
})

function reference(
  [N, H, W, C]: Shape,
  x: ArrayLike<number>,
  { kernelSize, stride }: AvgPoolOptions,
  [P, Q]: readonly [number, number],
  dy: ArrayLike<number>,
) {
  const y = new Float64Array(N * P * Q * C)
  const dx = new Float64Array(N * H * W * C)
  for (let n = 0; n < N; n++) {
    for (let p = 0; p < P; p++) {
      for (let q = 0; q < Q; q++) {
        for (let c = 0; c < C; c++) {
          const inside: number[] = []
          for (let h = p * stride; h < Math.min(p * stride + kernelSize, H); h++) {
            for (let w = q * stride; w < Math.min(q * stride + kernelSize, W); w++) {
              inside.push(((n * H + h) * W + w) * C + c)
            }
          }
          const i = ((n * P + p) * Q + q) * C + c
          y[i] = inside.reduce((sum, j) => sum + x[j], 0) / inside.length
          for (const j of inside) dx[j] += dy[i] / inside.length
        }
      }
    }
  }
  return { y, dx }
}
