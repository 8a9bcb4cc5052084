import { describe, expect, test } from 'vitest'
import { maxPool, type MaxPoolOptions } from '../../src/ops/max-pool.ts'
import { backward } from '../../src/tensor/backward.ts'
import { scope } from '../../src/tensor/scope.ts'
import { elementCount, windowOutput, type Shape } from '../../src/tensor/shape.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import { expectClose } from '../../src/testing/close.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'

await openTestGpu()

const CASES: readonly [Shape, MaxPoolOptions][] = [
  [[3, 7, 6, 10], { kernelSize: 3, stride: 2, padding: 1 }],
  [[3, 8, 9, 3], { kernelSize: 3, stride: 2, padding: 1 }],
  [[2, 5, 7, 1], { kernelSize: 2, stride: 2 }],
  [[2, 9, 6, 13], { kernelSize: 3, stride: 1, padding: 1 }],
  [[1, 11, 10, 5], { kernelSize: 5, stride: 3, padding: 2 }],
  [[2, 9, 9, 4], { kernelSize: 2, stride: 4 }],
  [[1, 1, 1, 5], { kernelSize: 3, stride: 2, padding: 1 }],
  [[1, 20, 17, 2], { kernelSize: 16, stride: 1 }],
]

describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
  test.each(CASES)('[%s] %o', async (shape, options) => {
    const { data } = uniform(shape, 1)
    const want = reference(shape, data, options)
    const dy = uniform(want.shape, 2).data
    const got = run(shape, data, dy, options, dtype)
    expect(got.y).toMatchObject({ shape: want.shape, dtype })
    // Values are passed on, not computed.
    expect(await read(got.y)).toEqual(Float32Array.from(want.y))
    expectClose(await read(got.dx), want.gradient(dy), dtype, { name: 'dx', shape })
  })
})

test('the gradient goes to the first of equal maxima, as in PyTorch', async () => {
  const got = run([1, 3, 3, 1], new Float32Array(9), [1, 2, 3, 4], { kernelSize: 2, stride: 1 }, 'f32')
  expect([...(await read(got.dx))]).toEqual([1, 2, 0, 3, 4, 0, 0, 0, 0])
})

test('padding is never the maximum', async () => {
  const y = maxPool(tensor([-5, -6, -7, -8], [1, 2, 2, 1]), { kernelSize: 3, stride: 2, padding: 1 })
  expect([...(await read(y))]).toEqual([-5])
})

test('more images than a dimension of a grid has workgroups', async () => {
  const shape = [70000, 2, 2, 1]
  const x = tensor(
    Float32Array.from({ length: 4 * 70000 }, (_, i) => (i % 4) * Math.floor(i / 4)),
    shape,
  )
  x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  const y = scope(() => {
    const made = maxPool(x, { kernelSize: 2, stride: 2 })
    backward(
      made,
      tensor(
        Float32Array.from({ length: 70000 }, (_, n) => n),
        made.shape,
      ),
    )
    return made
  })
  expect(await read(y)).toEqual(Float32Array.from({ length: 70000 }, (_, n) => 3 * n))
  expect(await read(x.leaf.gradient!)).toEqual(
    Float32Array.from({ length: 4 * 70000 }, (_, i) => (i % 4 === 3 ? Math.floor(i / 4) : 0)),
  )
})

test('gradient, finite differences', () => {
  // All different, further apart than the step.
  const shape = [2, 5, 6, 3]
  const data = Array.from({ length: elementCount(shape) }, (_, i) => ((i * 67) % 181) / 8)
  return gradcheck('maxPool', ({ x }) => maxPool(x, { kernelSize: 3, stride: 2, padding: 1 }), { x: { shape, data } })
})

test('refuses what does not fit, before any work', () => {
  const x = zeros([2, 4, 4, 3])
  expect(() => maxPool(zeros([4, 4, 3]), { kernelSize: 2, stride: 2 })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: maxPool: x must be a batch of images
      x  [4,4,3] f32
      expected x as [N,H,W,C]]
  `)
  expect(() => maxPool(x, { kernelSize: 5, stride: 2 })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: maxPool: the window is larger than the padded image
      x           [2,4,4,3] f32
      kernelSize  5
      padding     0
      Fix: use larger images, or a smaller kernelSize]
  `)
  expect(() => maxPool(x, { kernelSize: 17, stride: 2 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: maxPool: kernelSize is out of range
      kernelSize  17
      expected a whole number from 1 to 16]
  `)
  expect(() => maxPool(x, { kernelSize: 2, stride: 0 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: maxPool: stride is out of range
      stride  0
      expected a whole number from 1 on]
  `)
  expect(() => maxPool(x, { kernelSize: 3, stride: 2, padding: 2 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: maxPool: padding is out of range
      padding     2
      kernelSize  3
      expected a whole number from 0 to half the window, so that every window has a pixel]
  `)
})

function run(
  shape: Shape,
  data: ArrayLike<number>,
  dy: ArrayLike<number>,
  options: MaxPoolOptions,
  dtype: 'f32' | 'f16',
) {
  const x = tensor(data, shape, dtype)
  x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  const y = scope(() => {
    const made = maxPool(x, options)
    backward(made, tensor(dy, made.shape, dtype))
    return made
  })
  return { y, dx: x.leaf.gradient! }
}

function reference([N, H, W, C]: Shape, x: ArrayLike<number>, { kernelSize, stride, padding = 0 }: MaxPoolOptions) {
  const P = windowOutput(H, kernelSize, stride, padding)
  const Q = windowOutput(W, kernelSize, stride, padding)
  const y: number[] = []
  const from: number[] = []
  for (let n = 0; n < N; n++) {
    for (let p = 0; p < P; p++) {
      for (let q = 0; q < Q; q++) {
        for (let c = 0; c < C; c++) {
          let best = -Infinity
          let place = -1
          for (let r = 0; r < kernelSize; r++) {
            for (let s = 0; s < kernelSize; s++) {
              const h = p * stride + r - padding
              const w = q * stride + s - padding
              if (h < 0 || h >= H || w < 0 || w >= W) continue
              const i = ((n * H + h) * W + w) * C + c
              if (x[i] > best) [best, place] = [x[i], i]
            }
          }
          y.push(best)
          from.push(place)
        }
      }
    }
  }
  return {
    shape: [N, P, Q, C],
    y,
    gradient(dy: ArrayLike<number>) {
      const dx = new Float64Array(N * H * W * C)
      from.forEach((place, i) => (dx[place] += dy[i]))
      return dx
    },
  }
}
