import { expect, test } from 'vitest'
import { flatten, reshape } from '../../src/ops/reshape.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'

await openTestGpu()

test.for([
  [
    [3, 5, 7, 10],
    [15, 7, 10],
  ],
  [
    [3, 1, 1, 13],
    [3, 13],
  ],
  [
    [3, 5, 8],
    [2, 15, 4],
  ],
  [
    [2, 2, 3],
    [4, 3],
  ],
] as const)('%o → %o keeps the elements in their order', async ([from, to]) => {
  const { data } = uniform(from, 1)
  for (const dtype of ['f32', 'f16'] as const) {
    const y = reshape(tensor(data, from, dtype), to)
    expect(y).toMatchObject({ shape: to, dtype })
    expect(await read(y)).toEqual(data)
  }
})

test('u32 has no padding to keep', async () => {
  expect([...(await read(reshape(tensor([1, 2, 3, 4, 5, 6], [2, 3], 'u32'), [3, 2])))]).toEqual([1, 2, 3, 4, 5, 6])
})

test('flatten keeps the batch', () => {
  expect(flatten(zeros([3, 2, 2, 4])).shape).toEqual([3, 16])
  expect(flatten(zeros([3, 1, 1, 10])).shape).toEqual([3, 10])
})

test('gradient, finite differences', () =>
  gradcheck('reshape', ({ x }) => reshape(x, [6, 8]), { x: uniform([3, 4, 4], 1) }))

test('refuses what does not fit, before any work', () => {
  for (const x of [undefined, [1, 2]]) {
    expect(() => flatten(x as never)).toThrow('flatten: x is not of the right kind')
  }
  expect(() => reshape(zeros([2, 6]), [2, 5])).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: reshape: the numbers of elements differ
      from  [2,6] f32
      to    [2,5] f32
      expected 12 elements]
  `)
  // As many elements, but no shape.
  for (const shape of [
    [-3, -4],
    [1.5, 8],
  ]) {
    expect(() => reshape(zeros([3, 4]), shape)).toThrow('reshape: a shape must consist of positive integers')
  }
  // As many bytes, but the padding lies elsewhere.
  expect(() => reshape(zeros([4, 3]), [2, 6])).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: reshape: the last axis is stored padded to a multiple of four, so the elements would have to move
      from  [4,3] f32
      to    [2,6] f32
      expected the same last axis, or two that are multiples of four]
  `)
  expect(() => flatten(zeros([2, 3, 5]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: reshape: the last axis is stored padded to a multiple of four, so the elements would have to move
      from  [2,3,5] f32
      to    [2,15] f32
      expected the same last axis, or two that are multiples of four]
  `)
})
