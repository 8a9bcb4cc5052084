import { describe, expect, test } from 'vitest'
import { layerNorm } from '../../src/ops/layer-norm.ts'
import { backward } from '../../src/tensor/backward.ts'
import { scope } from '../../src/tensor/scope.ts'
import { elementCount, type Shape } from '../../src/tensor/shape.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import { expectClose, normOf } from '../../src/testing/close.ts'
import { testFamilies } from '../helpers/families.ts'
import { expectGolden, golden, type Summary } from '../helpers/golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'
import { openTestGpu } from '../helpers/gpu.ts'

const gpu = await openTestGpu()
const families = testFamilies(gpu, ['broadcast', 'tile'])

const SHAPES: readonly Shape[] = [
  [3, 5, 4, 10],
  [2, 7],
  [5, 1],
  [2, 3, 96],
  [1, 3, 3, 33],
  [9, 130],
  [3, 384],
  [2, 1000],
  [6, 20, 21, 8],
]

describe.each(families)('family %s', (family) => {
  describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
    test.each(SHAPES)('[%s]', async (...shape) => {
      gpu.family = family
      const C = shape[shape.length - 1]
      const [x, dy] = [uniform(shape, 1, -1, 3), uniform(shape, 4)]
      const [weight, bias] = [uniform([C], 2, 0.5, 1.5), uniform([C], 3)]
      const got = run(x.data, weight.data, bias.data, dy.data, shape, dtype, 1e-5)
      const want = reference(x.data, weight.data, bias.data, dy.data, C, 1e-5)
      expect(got.y).toMatchObject({ shape, dtype })
      expectClose(await read(got.y), want.y, dtype, { name: 'y', shape })
      // What cancels is as large as the terms that cancel.
      expectClose(await read(got.dx), want.dx, dtype, { name: 'dx', shape, norm: Math.max(normOf(want.dx), want.size) })
      expectClose(await read(got.dweight), want.dweight, 'f32', { name: 'dweight' })
      expectClose(await read(got.dbias), want.dbias, 'f32', { name: 'dbias' })
    })
  })

  test('a mean that is large against the deviation costs no digits', async () => {
    gpu.family = family
    const data = Array.from(hashUniform(3 * 96, 5, -1, 1), (value) => 1000 + Math.round(value * 64) / 64)
    const ones = new Float32Array(96).fill(1)
    const got = run(
      data,
      ones,
      new Float32Array(96),
      data.map(() => 1),
      [3, 96],
      'f32',
      1e-5,
    )
    const want = reference(
      data,
      ones,
      new Float32Array(96),
      data.map(() => 1),
      96,
      1e-5,
    )
    expectClose(await read(got.y), want.y, 'f32')
  })

  test.each(golden<{ layerNorm: readonly Golden[] }>('layers').layerNorm)('PyTorch, $shape', async (item) => {
    gpu.family = family
    const { shape, seed, eps } = item
    const [count, C] = [elementCount(shape), shape[shape.length - 1]]
    const got = run(
      hashUniform(count, seed, -2, 3),
      hashUniform(C, seed + 1, -1, 1),
      hashUniform(C, seed + 2, -1, 1),
      hashUniform(count, seed + 3, -1, 1),
      shape,
      'f32',
      eps,
    )
    expectGolden(await read(got.y), item.y, 'f32', 'y')
    expectGolden(await read(got.dx), item.dx, 'f32', 'dx')
    expectGolden(await read(got.dweight), item.dweight, 'f32', 'dweight')
    expectGolden(await read(got.dbias), item.dbias, 'f32', 'dbias')
  })

  test('gradient', async () => {
    gpu.family = family
    await gradcheck('layerNorm', ({ x, weight, bias }) => layerNorm(x, weight, bias), {
      x: uniform([2, 3, 2, 9], 1, -4, 4),
      weight: { ...uniform([9], 2), always: 'f32' },
      bias: { ...uniform([9], 3), always: 'f32' },
    })
  })

  test('padding stays zero, also of a row with an infinity', async () => {
    gpu.family = family
    const y = scope(() =>
      layerNorm(tensor([1, 2, 3, 4, Infinity, 6], [2, 3]), tensor([1, 1, 1], [3]), tensor([1, 1, 1], [3])),
    )
    const stored = new Float32Array(await gpu.queue.read(y.view))
    expect([stored[3], stored[7]]).toEqual([0, 0])
    const { dx, dweight, dbias } = run(
      [1, 2, 3, 4, Infinity, 6],
      [1, 1, 1],
      [1, 1, 1],
      [1, 2, 3, 4, 5, 6],
      [2, 3],
      'f32',
      1e-5,
    )
    const gradients = await Promise.all(
      [dx, dweight, dbias].map(async ({ view }) => new Float32Array(await gpu.queue.read(view))),
    )
    expect(gradients.flatMap((one) => [...one.filter((_, i) => i % 4 === 3)])).toEqual([0, 0, 0, 0])
  })
})

test('refuses what does not fit', () => {
  expect(() => layerNorm(zeros([2, 3]), zeros([4]), zeros([3]))).toThrow('weight does not fit the channels of x')
  expect(() => layerNorm(zeros([2, 3]), zeros([3]), zeros([3], 'f16'))).toThrow('bias is not f32')
  expect(() => layerNorm(zeros([3]), zeros([3]), zeros([3]))).toThrow('layerNorm: x must have rows')
  expect(() => layerNorm(zeros([2, 3]), zeros([3]), zeros([3]), { eps: 0 })).toThrow('eps is out of range')
})

interface Golden {
  readonly shape: Shape
  readonly seed: number
  readonly eps: number
  readonly y: Summary
  readonly dx: Summary
  readonly dweight: Summary
  readonly dbias: Summary
}

type Numbers = ArrayLike<number>

function run(x: Numbers, weight: Numbers, bias: Numbers, dy: Numbers, shape: Shape, dtype: 'f32' | 'f16', eps: number) {
  const C = shape[shape.length - 1]
  const inputs = [tensor(x, shape, dtype), tensor(weight, [C]), tensor(bias, [C])] as const
  for (const one of inputs) one.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  const y = scope(() => {
    const made = layerNorm(...inputs, { eps })
    backward(made, tensor(dy, shape, dtype))
    return made
  })
  const [dx, dweight, dbias] = inputs.map(({ leaf }) => leaf!.gradient!)
  return { y, dx, dweight, dbias }
}

/** Plain loops in f64. `size` is the norm of the first of the terms that dx is the difference of. */
function reference(x: Numbers, weight: Numbers, bias: Numbers, dy: Numbers, C: number, eps: number) {
  const y = new Float64Array(x.length)
  const dx = new Float64Array(x.length)
  const dweight = new Float64Array(C)
  const dbias = new Float64Array(C)
  let size = 0
  for (let first = 0; first < x.length; first += C) {
    const row = Array.from({ length: C }, (_, c) => x[first + c])
    const mean = row.reduce((sum, value) => sum + value, 0) / C
    const inverse = 1 / Math.sqrt(row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / C + eps)
    const normalized = row.map((value) => (value - mean) * inverse)
    const g = row.map((_, c) => dy[first + c] * weight[c])
    const [a, b] = [
      g.reduce((sum, value) => sum + value, 0) / C,
      g.reduce((sum, value, c) => sum + value * normalized[c], 0) / C,
    ]
    for (let c = 0; c < C; c++) {
      y[first + c] = normalized[c] * weight[c] + bias[c]
      dx[first + c] = inverse * (g[c] - a - normalized[c] * b)
      dweight[c] += dy[first + c] * normalized[c]
      dbias[c] += dy[first + c]
      size += (inverse * g[c]) ** 2
    }
  }
  return { y, dx, dweight, dbias, size: Math.sqrt(size) }
}
