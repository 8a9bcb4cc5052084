import { describe, expect, test } from 'vitest'
import { mul } from '../../src/ops/mul.ts'
import { backward } from '../../src/tensor/backward.ts'
import { scope } from '../../src/tensor/scope.ts'
import { elementCount, type Shape } from '../../src/tensor/shape.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import { expectClose } from '../../src/testing/close.ts'
import { testFamilies } from '../helpers/families.ts'
import { channelsFirst, channelsLast, expectGolden, golden, type Summary } from '../helpers/golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'
import { openTestGpu } from '../helpers/gpu.ts'

const gpu = await openTestGpu()
const families = testFamilies(gpu, ['broadcast', 'tile'])

/** Shapes of a and b: alike, a gate for each image, a factor for each channel. */
const SHAPES: readonly (readonly [Shape, Shape])[] = [
  [
    [3, 5, 4, 10],
    [3, 5, 4, 10],
  ],
  [[7], [7]],
  [[1], [1]],
  [
    [2, 3],
    [2, 3],
  ],
  [
    [3, 5, 4, 10],
    [3, 10],
  ],
  [
    [2, 1, 3, 5],
    [2, 1, 1, 5],
  ],
  [
    [2, 6, 3],
    [2, 3],
  ],
  [
    [3, 1, 1, 130],
    [3, 130],
  ],
  [[3, 5, 4, 10], [10]],
  [[4, 7], [7]],
  [[2, 30, 31, 1], [1]],
]

/** Number of the element of b that belongs to an element of a. */
function partner(i: number, a: Shape, b: Shape): number {
  const C = a[a.length - 1]
  if (a.join() === b.join()) return i
  return b.length === 1 ? i % C : Math.floor(i / (elementCount(a) / a[0])) * C + (i % C)
}

describe.each(families)('family %s', (family) => {
  test.each(SHAPES.flatMap(([a, b]) => (['f32', 'f16'] as const).map((dtype) => ({ a, b, dtype }))))(
    '$a · $b, $dtype',
    async ({ a, b, dtype }) => {
      gpu.family = family
      const perChannel = b.length === 1 && a.length > 1
      const [left, right, dy] = [uniform(a, 1), uniform(b, 2), uniform(a, 3)]
      const x = tensor(left.data, a, dtype)
      const y = tensor(right.data, b, perChannel ? 'f32' : dtype)
      for (const one of [x, y]) one.leaf = { trainable: true, gradient: undefined, hasGradient: false }
      const product = scope(() => {
        const made = mul(x, y)
        backward(made, tensor(dy.data, a, dtype))
        return made
      })
      expect(product).toMatchObject({ shape: a, dtype })
      const other = (i: number) => right.data[partner(i, a, b)]
      const db = new Float64Array(elementCount(b))
      Array.from(left.data).forEach((value, i) => (db[partner(i, a, b)] += value * dy.data[i]))
      expectClose(
        await read(product),
        Array.from(left.data, (value, i) => value * other(i)),
        dtype,
        { name: 'y' },
      )
      expectClose(
        await read(x.leaf!.gradient!),
        Array.from(dy.data, (value, i) => value * other(i)),
        dtype,
        { name: 'da' },
      )
      expectClose(await read(y.leaf!.gradient!), db, perChannel ? 'f32' : dtype, { name: 'db' })
    },
  )

  test.each([
    { b: { ...uniform([2, 4, 3, 5], 2) } },
    { b: { ...uniform([2, 5], 2) } },
    { b: { ...uniform([5], 2), always: 'f32' as const } },
  ])('gradient, b $b.shape', async ({ b }) => {
    gpu.family = family
    await gradcheck('mul', (given) => mul(given.a, given.b), { a: uniform([2, 4, 3, 5], 1), b })
  })

  test('the square of a tensor has the sum of both gradients', async () => {
    gpu.family = family
    await gradcheck('a·a', ({ a }) => mul(a, a), { a: uniform([2, 3, 5], 1) })
  })

  test.each(golden<{ scale: readonly Golden[] }>('layers').scale)('a layer scale is that of PyTorch', async (item) => {
    gpu.family = family
    const { shape } = item.y
    const [N, C, H, W] = shape
    const last = (seed: number) =>
      tensor(channelsLast(hashUniform(elementCount(shape), seed, -1, 1), shape), [N, H, W, C])
    const [x, s] = [last(item.seed), tensor(hashUniform(C, item.seed + 1, -1, 1), [C])]
    for (const one of [x, s]) one.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    const y = scope(() => {
      const made = mul(x, s)
      backward(made, last(item.seed + 2))
      return made
    })
    expectGolden(channelsFirst(await read(y), y.shape), item.y, 'f32', 'y')
    expectGolden(channelsFirst(await read(x.leaf!.gradient!), y.shape), item.dx, 'f32', 'dx')
    expectGolden(await read(s.leaf!.gradient!), item.ds, 'f32', 'ds')
  })
})

test('refuses what does not fit', () => {
  expect(() => mul(zeros([2, 3, 3, 4]), zeros([2, 3]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: mul: the shapes do not fit
      a  [2,3,3,4] f32
      b  [2,3] f32
      expected b in the shape of a, or [2,4] for every image, or [4] for every row]
  `)
  expect(() => mul(zeros([2, 3]), zeros([3, 2]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: mul: the shapes do not fit
      a  [2,3] f32
      b  [3,2] f32
      expected b in the shape of a, or [3] for every row]
  `)
  expect(() => mul(zeros([2, 3]), zeros([2, 3], 'f16'))).toThrowErrorMatchingInlineSnapshot(`
    [DtypeError: mul: the storage types differ
      a  [2,3] f32
      b  [2,3] f16
      expected b in f32
      Fix: cast one of them]
  `)
  expect(() => mul(zeros([2, 3], 'f16'), zeros([3], 'f16'))).toThrowErrorMatchingInlineSnapshot(`
    [DtypeError: mul: b, one number per channel, must be f32
      a  [2,3] f16
      b  [3] f16
      expected b in f32
      Fix: pass a parameter as parameter.value, which is f32, whatever the type of a]
  `)
})

interface Golden {
  readonly seed: number
  readonly y: Summary
  readonly dx: Summary
  readonly ds: Summary
}
