import { describe, expect, test } from 'vitest'
import { MaxBlurPool } from '../../src/nn/max-blur-pool.ts'
import { maxBlurPool } from '../../src/ops/max-blur-pool.ts'
import { backward } from '../../src/tensor/backward.ts'
import { scope } from '../../src/tensor/scope.ts'
import { elementCount, type Shape } from '../../src/tensor/shape.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import { expectClose } from '../../src/testing/close.ts'
import { channelsFirst, channelsLast, expectGolden, golden, type Summary } from '../helpers/golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { testFamilies } from '../helpers/families.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'

const gpu = await openTestGpu()
const families = testFamilies(gpu, ['broadcast', 'tile'])

/** Odd and even, the smallest there are, channels around the vectors of four and the lanes. */
const SHAPES: readonly Shape[] = [
  [3, 7, 6, 10],
  [3, 8, 9, 3],
  [2, 2, 2, 1],
  [1, 3, 2, 5],
  [1, 2, 3, 33],
  [2, 9, 5, 36],
  [1, 16, 70, 4],
  [2, 5, 5, 13],
]

describe.each(families)('family %s', (family) => {
  describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
    test.each(SHAPES.map((shape) => [shape]))('[%s]', async (shape) => {
      gpu.family = family
      const { data } = uniform(shape, 1)
      const want = reference(shape, data)
      const dy = uniform(want.shape, 2).data
      const got = run(shape, data, dy, dtype)
      expect(got.y).toMatchObject({ shape: want.shape, dtype })
      expectClose(await read(got.y), want.y, dtype, { name: 'y', shape: want.shape })
      expectClose(await read(got.dx), want.gradient(dy), dtype, { name: 'dx', shape })
    })
  })
})

test("kornia's example", async () => {
  // The identity matrix of 5×5.
  const y = maxBlurPool(
    tensor(
      Array.from({ length: 25 }, (_, i) => Number(i % 6 === 0)),
      [1, 5, 5, 1],
    ),
  )
  expect([...(await read(y))]).toEqual([0.5625, 0.3125, 0.3125, 0.875])
})

interface Case {
  readonly name: string
  readonly seed: number
  readonly x: { readonly shape: Shape }
  readonly y: Summary
  readonly dx: Summary
}

test.each(golden<{ cases: readonly Case[] }>('recipe_ops').cases.filter(({ name }) => name === 'maxBlurPool'))(
  'PyTorch, $x.shape',
  async ({ seed, x, y, dx }) => {
    const last = ([N, C, H, W]: Shape) => [N, H, W, C]
    const operand = (shape: Shape, number: number) =>
      channelsLast(hashUniform(elementCount(shape), number, -1, 1), shape)
    const got = run(last(x.shape), operand(x.shape, seed), operand(y.shape, seed + 1), 'f32')
    expectGolden(channelsFirst(await read(got.y), last(y.shape)), y, 'f32', 'y')
    expectGolden(channelsFirst(await read(got.dx), last(dx.shape)), dx, 'f32', 'dx')
  },
)

test('the gradient goes to the first of equal maxima, as in PyTorch', async () => {
  // All nine are equal: the four windows belong to their upper left pixels; dm is 1/16 · [4 2; 2 1] · 16.
  const got = run([1, 3, 3, 1], new Float32Array(9), [16], 'f32')
  expect([...(await read(got.dx))]).toEqual([4, 2, 0, 2, 1, 0, 0, 0, 0])
})

test('values below zero are blurred with the zeros around', async () => {
  const y = maxBlurPool(tensor([-16, -32, -48, -64], [1, 2, 2, 1]))
  expect([...(await read(y))]).toEqual([-4])
})

test('more images than a dimension of a grid has workgroups', async () => {
  const shape = [70000, 2, 2, 1]
  const x = tensor(
    Float32Array.from({ length: 4 * 70000 }, (_, i) => (i % 4) * Math.floor(i / 4)),
    shape,
  )
  x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  const y = scope(() => {
    const made = maxBlurPool(x)
    backward(
      made,
      tensor(
        Float32Array.from({ length: 70000 }, (_, n) => n),
        made.shape,
      ),
    )
    return made
  })
  expect(await read(y)).toEqual(Float32Array.from({ length: 70000 }, (_, n) => 0.75 * n))
  expect(await read(x.leaf.gradient!)).toEqual(
    Float32Array.from({ length: 4 * 70000 }, (_, i) => (i % 4 === 3 ? Math.floor(i / 4) / 4 : 0)),
  )
})

test('gradient, finite differences', () => {
  // All different, further apart than the step.
  const shape = [2, 5, 6, 3]
  const data = Array.from({ length: elementCount(shape) }, (_, i) => ((i * 67) % 181) / 8)
  return gradcheck('maxBlurPool', ({ x }) => maxBlurPool(x), { x: { shape, data } })
})

test('as a layer', async () => {
  const layer = new MaxBlurPool()
  expect(layer.describe([8, 65, 64, 32])).toMatchObject([{ output: [8, 32, 32, 32], parameters: 0 }])
  expect(layer.forward(zeros([2, 5, 4, 3])).shape).toEqual([2, 2, 2, 3])
  expect(layer.parameters()).toEqual([])
})

test('refuses what does not fit', () => {
  expect(() => maxBlurPool(zeros([2, 1, 4, 3]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: maxBlurPool: x must be a batch of images of at least 2×2
      x  [2,1,4,3]
      expected x as [N,H,W,C], with H and W ≥ 2]
  `)
  expect(() => maxBlurPool(zeros([4, 4, 3]))).toThrow('maxBlurPool')
})

function run(shape: Shape, data: ArrayLike<number>, dy: ArrayLike<number>, dtype: 'f32' | 'f16') {
  const x = tensor(data, shape, dtype)
  x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  const y = scope(() => {
    const made = maxBlurPool(x)
    backward(made, tensor(dy, made.shape, dtype))
    return made
  })
  return { y, dx: x.leaf.gradient! }
}

/** The two operations one after the other, in f64. */
function reference([N, H, W, C]: Shape, x: ArrayLike<number>) {
  const [P, Q] = [Math.floor(H / 2), Math.floor(W / 2)]
  const k = [0.25, 0.5, 0.25]
  /** Calls back for every m[n,i,j,c] that y[n,p,q,c] is made of, with its weight and the place of its maximum in x. */
  const each = (work: (output: number, weight: number, place: number) => void) => {
    for (let n = 0; n < N; n++) {
      for (let p = 0; p < P; p++) {
        for (let q = 0; q < Q; q++) {
          for (let c = 0; c < C; c++) {
            for (let a = 0; a < 3; a++) {
              for (let b = 0; b < 3; b++) {
                const [i, j] = [2 * p - 1 + a, 2 * q - 1 + b]
                if (i < 0 || j < 0 || i >= H - 1 || j >= W - 1) continue
                const places = [
                  [i, j],
                  [i, j + 1],
                  [i + 1, j],
                  [i + 1, j + 1],
                ].map(([h, w]) => ((n * H + h) * W + w) * C + c)
                const place = places.reduce((best, other) => (x[other] > x[best] ? other : best))
                work(((n * P + p) * Q + q) * C + c, k[a] * k[b], place)
              }
            }
          }
        }
      }
    }
  }
  const y = new Float64Array(N * P * Q * C)
  each((output, weight, place) => (y[output] += weight * x[place]))
  return {
    shape: [N, P, Q, C],
    y,
    gradient(dy: ArrayLike<number>) {
      const dx = new Float64Array(N * H * W * C)
      each((output, weight, place) => (dx[place] += weight * dy[output]))
      return dx
    },
  }
}
