import { describe, expect, test } from 'vitest'
import { conv2d } from '../../src/ops/conv2d.ts'
import { backward } from '../../src/tensor/backward.ts'
import { windowOutput } from '../../src/tensor/shape.ts'
import { scope } from '../../src/tensor/scope.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { expectClose } from '../../src/testing/close.ts'
import { channelsFirst, channelsLast, expectGolden, golden, type Summary } from '../helpers/golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { testFamilies } from '../helpers/families.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'

const gpu = await openTestGpu()
// On an adapter without subgroups the first family does not exist; without matrix units, the third is emulated.
const families = testFamilies(gpu)

interface Sizes {
  N: number
  H: number
  W: number
  C: number
  O: number
  R: number
  S: number
  stride: number
  padding: number
}

/**
 * [N,H,W,C], O, R×S, stride, padding: odd in every way, around the tiles (16 pixels, 32 channels), and the network's own. Half of
 * them have channels that are stored as multiples of eight, all that family matrix takes; the others run in tiles there.
 */
const SHAPES: readonly Sizes[] = [
  { N: 3, H: 5, W: 7, C: 3, O: 10, R: 3, S: 3, stride: 1, padding: 1 },
  { N: 3, H: 7, W: 6, C: 13, O: 5, R: 3, S: 3, stride: 2, padding: 1 },
  { N: 2, H: 9, W: 8, C: 1, O: 1, R: 5, S: 5, stride: 1, padding: 2 },
  { N: 3, H: 11, W: 9, C: 5, O: 23, R: 7, S: 7, stride: 2, padding: 3 },
  { N: 3, H: 8, W: 5, C: 36, O: 12, R: 1, S: 1, stride: 1, padding: 0 },
  { N: 2, H: 7, W: 9, C: 10, O: 30, R: 1, S: 1, stride: 2, padding: 0 },
  { N: 1, H: 10, W: 7, C: 7, O: 8, R: 3, S: 3, stride: 3, padding: 0 },
  { N: 2, H: 6, W: 9, C: 6, O: 7, R: 3, S: 1, stride: 1, padding: 0 },
  { N: 2, H: 4, W: 5, C: 3, O: 4, R: 1, S: 5, stride: 2, padding: 2 },
  { N: 2, H: 3, W: 3, C: 5, O: 6, R: 3, S: 3, stride: 1, padding: 0 },
  { N: 1, H: 4, W: 4, C: 32, O: 32, R: 3, S: 3, stride: 1, padding: 1 },
  { N: 1, H: 1, W: 17, C: 33, O: 33, R: 1, S: 1, stride: 1, padding: 0 },
  { N: 5, H: 2, W: 2, C: 24, O: 40, R: 3, S: 3, stride: 1, padding: 1 },
  { N: 2, H: 20, W: 18, C: 8, O: 9, R: 3, S: 3, stride: 1, padding: 1 },
  // Enough work for the large tiles: of pixels, and of weights.
  { N: 2, H: 33, W: 32, C: 70, O: 134, R: 1, S: 1, stride: 1, padding: 0 },
  { N: 1, H: 3, W: 4, C: 62, O: 520, R: 3, S: 3, stride: 1, padding: 1 },
]

const titled = SHAPES.map((sizes) => {
  const { N, H, W, C, O, R, S, stride, padding } = sizes
  return [`[${N},${H},${W},${C}]→${O} ${R}×${S} stride ${stride} pad ${padding}`, sizes] as const
})

describe.each(families)('family %s', (family) => {
  describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
    test.each(titled)('%s', async (_title, sizes) => {
      gpu.family = family
      const { N, H, W, C, O, R, S, stride, padding } = sizes
      const P = windowOutput(H, R, stride, padding)
      const Q = windowOutput(W, S, stride, padding)
      const x = uniform([N, H, W, C], 1)
      const weight = uniform([O, R, S, C], 2)
      const dy = uniform([N, P, Q, O], 3)
      const got = run(
        tensor(x.data, x.shape, dtype),
        tensor(weight.data, weight.shape, dtype),
        tensor(dy.data, dy.shape, dtype),
        { stride, padding },
      )
      const want = reference(sizes, x.data, weight.data, dy.data)
      expectClose(await read(got.y), want.y, dtype, { name: 'y', shape: got.y.shape })
      expectClose(await read(got.dx), want.dx, dtype, { name: 'dx', shape: x.shape })
      expectClose(await read(got.dw), want.dw, 'f32', { name: 'dw', shape: weight.shape })
    })
  })

  test('padding of the channels stays zero', async () => {
    gpu.family = family
    const y = scope(() =>
      conv2d(tensor(uniform([1, 3, 3, 5], 1).data, [1, 3, 3, 5]), tensor(uniform([6, 3, 3, 5], 2).data, [6, 3, 3, 5]), {
        padding: 1,
      }),
    )
    const stored = new Float32Array(await gpu.queue.read(y.view))
    for (let pixel = 0; pixel < 9; pixel++) expect([...stored.subarray(pixel * 8 + 6, pixel * 8 + 8)]).toEqual([0, 0])
  })

  test('matches PyTorch', async () => {
    gpu.family = family
    for (const item of golden<{ cases: GoldenCase[] }>('conv2d').cases) {
      const { n, c_in, h, w, c_out, kernel, stride, padding, seeds, y, dx, dw } = item
      const side = y.shape.slice(2)
      const nhwc = (seed: number, shape: readonly number[]) => {
        const [a, b, c, d] = shape
        return tensor(channelsLast(hashUniform(a * b * c * d, seed, -1, 1), shape), [a, c, d, b])
      }
      const got = run(
        nhwc(seeds.x, [n, c_in, h, w]),
        nhwc(seeds.w, [c_out, c_in, kernel, kernel]),
        nhwc(seeds.dy, [n, c_out, ...side]),
        { stride, padding },
      )
      expectGolden(channelsFirst(await read(got.y), got.y.shape), y, 'f32', 'y')
      expectGolden(channelsFirst(await read(got.dx), got.dx.shape), dx, 'f32', 'dx')
      expectGolden(channelsFirst(await read(got.dw), got.dw.shape), dw, 'f32', 'dw')
    }
  })

  test('gradients, finite differences', async () => {
    gpu.family = family
    const f = ({ x, weight }: { x: Tensor; weight: Tensor }) => conv2d(x, weight, { stride: 2, padding: 1 })
    await gradcheck('conv2d', f, { x: uniform([3, 5, 6, 3], 1), weight: uniform([5, 3, 3, 3], 2) })
  })
})

test('refuses what does not fit, before any work', () => {
  const x = zeros([2, 8, 8, 4])
  expect(() => conv2d(x, zeros([8, 3, 3, 3]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: conv2d: the channels of x and weight differ
      x       [2,8,8,4] f32
      weight  [8,3,3,3] f32
      expected the last axis of the weight to be 4, as that of x
      Fix: build the layer with inChannels = 4, or check the layout of the weights you loaded]
  `)
  expect(() => conv2d(x, zeros([8, 3, 3, 4], 'f16'))).toThrowErrorMatchingInlineSnapshot(`
    [DtypeError: conv2d: the storage types differ
      x       [2,8,8,4] f32
      weight  [8,3,3,4] f16
      Fix: cast one of them]
  `)
  expect(() => conv2d(x, zeros([8, 9, 9, 4]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: conv2d: the filter is larger than the padded image
      x        [2,8,8,4] f32
      weight   [8,9,9,4] f32
      padding  0
      Fix: use larger images, a smaller filter, or more padding]
  `)
  expect(() => conv2d(x, zeros([8, 3, 3, 4]), { stride: 0 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: conv2d: stride is out of range
      stride  0
      expected a whole number from 1 on]
  `)
  expect(() => conv2d(zeros([8, 8, 4]), zeros([8, 3, 3, 4]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: conv2d: x must be a batch of images
      x       [8,8,4] f32
      weight  [8,3,3,4] f32
      expected x as [N,H,W,C]]
  `)
})

interface GoldenCase {
  n: number
  c_in: number
  h: number
  w: number
  c_out: number
  kernel: number
  stride: number
  padding: number
  seeds: { x: number; w: number; dy: number }
  y: Summary
  dx: Summary
  dw: Summary
}

function run(x: Tensor, weight: Tensor, dy: Tensor, options: { stride: number; padding: number }) {
  x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  weight.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  const y = scope(() => {
    const made = conv2d(x, weight, options)
    backward(made, dy)
    return made
  })
  if (!x.leaf.gradient || !weight.leaf.gradient) throw new Error('a gradient is missing')
  return { y, dx: x.leaf.gradient, dw: weight.leaf.gradient }
}

/** Plain loops in f64: each pair of operands that a tap brings together adds to y, dx and dw. */
function reference(
  { N, H, W, C, O, R, S, stride, padding }: Sizes,
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  dy: ArrayLike<number>,
) {
  const P = windowOutput(H, R, stride, padding)
  const Q = windowOutput(W, S, stride, padding)
  const y = new Float64Array(N * P * Q * O)
  const dx = new Float64Array(N * H * W * C)
  const dw = new Float64Array(O * R * S * C)
  for (let n = 0; n < N; n++) {
    for (let p = 0; p < P; p++) {
      for (let q = 0; q < Q; q++) {
        for (let o = 0; o < O; o++) {
          const out = ((n * P + p) * Q + q) * O + o
          for (let r = 0; r < R; r++) {
            for (let s = 0; s < S; s++) {
              const h = p * stride + r - padding
              const w = q * stride + s - padding
              if (h < 0 || w < 0 || h >= H || w >= W) continue
              for (let c = 0; c < C; c++) {
                const at = ((n * H + h) * W + w) * C + c
                const tap = ((o * R + r) * S + s) * C + c
                y[out] += x[at] * weight[tap]
                dx[at] += dy[out] * weight[tap]
                dw[tap] += dy[out] * x[at]
              }
            }
          }
        }
      }
    }
  }
  return { y, dx, dw }
}
