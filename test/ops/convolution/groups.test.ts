import { describe, expect, test } from 'vitest'
import { conv2d } from '../../../src/ops/conv2d.ts'
import { backward } from '../../../src/tensor/backward.ts'
import { read, tensor, zeros } from '../../../src/tensor/read-write.ts'
import { scope } from '../../../src/tensor/scope.ts'
import { windowOutput } from '../../../src/tensor/shape.ts'
import type { Tensor } from '../../../src/tensor/tensor.ts'
import { expectClose } from '../../../src/testing/close.ts'
import { testFamilies } from '../../helpers/families.ts'
import { channelsFirst, channelsLast, expectGolden, golden, type Summary } from '../../helpers/golden.ts'
import { hashUniform } from '../../../src/testing/hash-uniform.ts'
import { gradcheck, uniform } from '../../../src/testing/gradcheck.ts'
import { openTestGpu } from '../../helpers/gpu.ts'

const gpu = await openTestGpu()
// The grids are those of a processor in the first, and of a GPU in the others.
const families = testFamilies(gpu, ['broadcast', 'tile'])

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
  dilation: number
  groups: number
}

const size = (given: Partial<Sizes> & Pick<Sizes, 'N' | 'H' | 'W' | 'C'>): Sizes => ({
  O: given.C,
  R: 3,
  S: given.R ?? 3,
  stride: 1,
  padding: 1,
  dilation: 1,
  groups: 1,
  ...given,
})

const SHAPES: readonly Sizes[] = [
  // Depthwise: odd sizes, strides, windows that are even, not square, wider than the image, and as wide as a network's.
  size({ N: 3, H: 9, W: 7, C: 24, groups: 24 }),
  size({ N: 3, H: 5, W: 7, C: 3, groups: 3 }),
  size({ N: 3, H: 9, W: 7, C: 40, stride: 2, groups: 40 }),
  size({ N: 2, H: 9, W: 8, C: 13, stride: 2, groups: 13 }),
  size({ N: 2, H: 14, W: 14, C: 36, R: 7, padding: 3, groups: 36 }),
  size({ N: 1, H: 4, W: 3, C: 8, R: 7, padding: 3, groups: 8 }),
  size({ N: 2, H: 8, W: 7, C: 6, R: 2, stride: 2, padding: 0, groups: 6 }),
  size({ N: 2, H: 9, W: 11, C: 5, R: 5, S: 3, stride: 3, padding: 2, groups: 5 }),
  size({ N: 1, H: 9, W: 21, C: 4, dilation: 3, padding: 1, stride: 2, groups: 4 }),
  size({ N: 2, H: 5, W: 5, C: 4, R: 3, padding: 3, groups: 4 }),
  size({ N: 1, H: 40, W: 70, C: 4, R: 3, dilation: 17, padding: 17, groups: 4 }),
  // Enough strips for several slices, and for blocks within a slice.
  size({ N: 6, H: 33, W: 32, C: 10, groups: 10 }),
  // On a processor: several strips of rows per thread, filters of one tap and with more columns than rows, padding beyond a filter.
  size({ N: 16, H: 33, W: 6, C: 10, groups: 10 }),
  size({ N: 2, H: 5, W: 6, C: 20, R: 1, stride: 2, padding: 0, groups: 20 }),
  size({ N: 3, H: 9, W: 11, C: 5, R: 3, S: 5, stride: 2, padding: 2, groups: 5 }),
  size({ N: 1, H: 6, W: 4, C: 4, R: 2, stride: 2, padding: 3, groups: 4 }),
  // Groups in vectors of four, and across them.
  size({ N: 2, H: 6, W: 7, C: 16, O: 24, groups: 2 }),
  size({ N: 2, H: 7, W: 6, C: 32, O: 32, stride: 2, groups: 8 }),
  size({ N: 2, H: 6, W: 5, C: 6, O: 9, groups: 3 }),
  size({ N: 2, H: 7, W: 9, C: 10, O: 20, stride: 2, groups: 5, R: 5, padding: 2 }),
  size({ N: 1, H: 5, W: 6, C: 3, O: 12, groups: 3 }),
  size({ N: 1, H: 5, W: 6, C: 8, O: 2, groups: 2 }),
  size({ N: 3, H: 4, W: 5, C: 12, O: 8, groups: 4, R: 1, padding: 0 }),
  size({ N: 3, H: 9, W: 6, C: 16, O: 32, groups: 4 }),
  size({ N: 1, H: 9, W: 8, C: 32, O: 16, stride: 2, groups: 4 }),
  // Dilation without groups.
  size({ N: 2, H: 9, W: 10, C: 5, O: 7, dilation: 2, padding: 2 }),
  size({ N: 1, H: 11, W: 9, C: 8, O: 12, dilation: 3, padding: 2, stride: 2 }),
  size({ N: 2, H: 17, W: 16, C: 4, O: 6, dilation: 2, padding: 0, R: 2 }),
  // Dense, even windows as those of ConvNeXt.
  size({ N: 2, H: 8, W: 12, C: 3, O: 10, R: 4, stride: 4, padding: 0 }),
  size({ N: 2, H: 7, W: 6, C: 9, O: 6, R: 2, stride: 2, padding: 0 }),
]

/** With sizes as constants every shape compiles its own kernels, which takes a processor long: some of the small ones then. */
const fewer = process.env.TEST_ADAPTER === 'amd'

const titled = SHAPES.filter(({ R, N }) => !fewer || (R < 5 && N === 2)).map((sizes) => {
  const { N, H, W, C, O, R, S, stride, padding, dilation, groups } = sizes
  return [
    `[${N},${H},${W},${C}]→${O} ${R}×${S} in ${groups}, stride ${stride} pad ${padding} dilation ${dilation}`,
    sizes,
  ] as const
})

describe.each(families)('family %s', (family) => {
  describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
    // Compiling is what takes long: in half precision every other shape.
    test.each(titled.filter((_, i) => dtype === 'f32' || i % (fewer ? 4 : 2) === 0))('%s', async (_title, sizes) => {
      gpu.family = family
      const { N, H, W, C, O, R, S, stride, padding, dilation, groups } = sizes
      const P = windowOutput(H, dilation * (R - 1) + 1, stride, padding)
      const Q = windowOutput(W, dilation * (S - 1) + 1, stride, padding)
      const [x, weight, dy] = [uniform([N, H, W, C], 1), uniform([O, R, S, C / groups], 2), uniform([N, P, Q, O], 3)]
      const bias = uniform([O], 4)
      const got = run(
        tensor(x.data, x.shape, dtype),
        tensor(weight.data, weight.shape, dtype),
        tensor(bias.data, bias.shape),
        tensor(dy.data, dy.shape, dtype),
        { stride, padding, dilation, groups },
      )
      const want = reference(sizes, P, Q, x.data, weight.data, bias.data, dy.data)
      // Dense and grouped products are rounded once before the bias is added.
      const roundings = 2
      expectClose(await read(got.y), want.y, dtype, { name: 'y', shape: got.y.shape, roundings })
      expectClose(await read(got.dx), want.dx, dtype, { name: 'dx', shape: x.shape })
      expectClose(await read(got.dw), want.dw, 'f32', { name: 'dw', shape: weight.shape })
      expectClose(await read(got.db), want.db, 'f32', { name: 'dbias', shape: bias.shape })
    })
  })

  const cases = golden<{ conv: readonly GoldenCase[] }>('layers').conv
  test.each(fewer ? cases.slice(0, 1) : cases)('torch.nn.functional.conv2d, $sizes', async (item) => {
    gpu.family = family
    const { n, c, h, w, o, kernel, options, seed, y, dx, dw, db } = item
    const side = y.shape.slice(2)
    const nhwc = (from: number, shape: readonly number[]) => {
      const [a, b, i, j] = shape
      return tensor(channelsLast(hashUniform(a * b * i * j, from, -1, 1), shape), [a, i, j, b])
    }
    const got = run(
      nhwc(seed, [n, c, h, w]),
      nhwc(seed + 1, [o, c / options.groups, kernel, kernel]),
      tensor(hashUniform(o, seed + 2, -1, 1), [o]),
      nhwc(seed + 3, [n, o, ...side]),
      options,
    )
    expectGolden(channelsFirst(await read(got.y), got.y.shape), y, 'f32', 'y')
    expectGolden(channelsFirst(await read(got.dx), got.dx.shape), dx, 'f32', 'dx')
    expectGolden(channelsFirst(await read(got.dw), got.dw.shape), dw, 'f32', 'dw')
    expectGolden(await read(got.db), db, 'f32', 'dbias')
  })

  test.each([
    { groups: 6, O: 6 },
    { groups: 3, O: 9 },
  ])('gradients, finite differences, $groups groups', async ({ groups, O }) => {
    gpu.family = family
    const f = ({ x, weight, bias }: Record<'x' | 'weight' | 'bias', Tensor>) =>
      conv2d(x, weight, { stride: 2, padding: 1, groups, bias })
    await gradcheck('conv2d', f, {
      x: uniform([2, 5, 6, 6], 1),
      weight: uniform([O, 3, 3, 6 / groups], 2),
      bias: { ...uniform([O], 3), always: 'f32' },
    })
  })

  test.each([5, 1])('padding of the channels stays zero, %i groups', async (groups) => {
    gpu.family = family
    const x = tensor(uniform([1, 3, 3, 5], 1).data, [1, 3, 3, 5])
    const weight = tensor(uniform([5, 3, 3, 5 / groups], 2).data, [5, 3, 3, 5 / groups])
    const bias = tensor([1, 2, Infinity, 3, Infinity], [5])
    const y = scope(() => conv2d(x, weight, { padding: 2, dilation: 2, groups, bias }))
    const stored = new Float32Array(await gpu.queue.read(y.view))
    const padding = stored.filter((_, i) => i % 8 > 4)
    expect([...padding]).toEqual(Array.from(padding, () => 0))
  })
})

// Workgroups of a GPU have threads that share rows, of which there is one here: a software adapter would take minutes.
test.each(families.filter((family) => family === 'broadcast'))(
  'the gradient of more filters than a dispatch has workgroups along one axis, family %s',
  async (family) => {
    gpu.family = family
    const [C, O] = [1024, 1024]
    const [x, dy] = [uniform([1, 1, 1, C], 1), uniform([1, 1, 1, O], 2)]
    const options = { stride: 1, padding: 2, dilation: 2, groups: 1 }
    const got = run(tensor(x.data, x.shape), zeros([O, 3, 3, C]), zeros([O]), tensor(dy.data, dy.shape), options)
    const dw = await read(got.dw)
    // Only the tap in the middle meets the pixel.
    const wrong = dw.findIndex((value, i) => {
      const [o, tap, c] = [Math.floor(i / (9 * C)), Math.floor(i / C) % 9, i % C]
      return value !== (tap === 4 ? Math.fround(x.data[c] * dy.data[o]) : 0)
    })
    expect(wrong).toBe(-1)
  },
)

test('refuses what does not fit, before any work', () => {
  const x = zeros([2, 8, 8, 6])
  expect(() => conv2d(x, zeros([8, 3, 3, 2]), { groups: 4 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: conv2d: groups is out of range
      groups       4
      channels     6
      outChannels  8
      expected a divisor of both]
  `)
  expect(() => conv2d(x, zeros([6, 3, 3, 6]), { groups: 3 })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: conv2d: the channels of x and weight differ
      x       [2,8,8,6] f32
      weight  [6,3,3,6] f32
      groups  3
      expected the last axis of the weight to be 2, the channels of a group of x
      Fix: build the layer with inChannels = 6, or check the layout of the weights you loaded]
  `)
  expect(() => conv2d(x, zeros([6, 3, 3, 6]), { dilation: 4 })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: conv2d: the filter is larger than the padded image
      x         [2,8,8,6] f32
      weight    [6,3,3,6] f32
      padding   0
      dilation  4
      Fix: use larger images, a smaller filter, or more padding]
  `)
  expect(() => conv2d(x, zeros([6, 3, 3, 6]), { bias: zeros([5]) })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: conv2d: there must be one bias per output
      x       [2,8,8,6] f32
      weight  [6,3,3,6] f32
      bias    [5] f32
      expected the bias as [6]]
  `)
})

interface GoldenCase {
  sizes: string
  n: number
  c: number
  h: number
  w: number
  o: number
  kernel: number
  options: { stride: number; padding: number; dilation: number; groups: number }
  seed: number
  y: Summary
  dx: Summary
  dw: Summary
  db: Summary
}

type Options = Readonly<Record<'stride' | 'padding' | 'dilation' | 'groups', number>>

function run(x: Tensor, weight: Tensor, bias: Tensor, dy: Tensor, options: Options) {
  for (const one of [x, weight, bias]) one.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  const y = scope(() => {
    const made = conv2d(x, weight, { ...options, bias })
    backward(made, dy)
    return made
  })
  const [dx, dw, db] = [x, weight, bias].map(({ leaf }) => leaf!.gradient!)
  return { y, dx, dw, db }
}

/** Plain loops in f64: each pair of operands that a tap brings together adds to y, dx and dw. */
function reference(
  { N, H, W, C, O, R, S, stride, padding, dilation, groups }: Sizes,
  P: number,
  Q: number,
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  bias: ArrayLike<number>,
  dy: ArrayLike<number>,
) {
  const y = new Float64Array(N * P * Q * O)
  const dx = new Float64Array(N * H * W * C)
  const dw = new Float64Array((O * R * S * C) / groups)
  const db = new Float64Array(O)
  const [channels, outs] = [C / groups, O / groups]
  for (let out = 0; out < y.length; out++) {
    const o = out % O
    const q = Math.floor(out / O) % Q
    const p = Math.floor(out / (O * Q)) % P
    const n = Math.floor(out / (O * Q * P))
    y[out] += bias[o]
    db[o] += dy[out]
    for (let r = 0; r < R; r++) {
      for (let s = 0; s < S; s++) {
        const h = p * stride + r * dilation - padding
        const w = q * stride + s * dilation - padding
        if (h < 0 || w < 0 || h >= H || w >= W) continue
        for (let c = 0; c < channels; c++) {
          const at = ((n * H + h) * W + w) * C + Math.floor(o / outs) * channels + c
          const tap = ((o * R + r) * S + s) * channels + c
          y[out] += x[at] * weight[tap]
          dx[at] += dy[out] * weight[tap]
          dw[tap] += dy[out] * x[at]
        }
      }
    }
  }
  return { y, dx, dw, db }
}
