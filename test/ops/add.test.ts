import { describe, expect, test } from 'vitest'
import { add } from '../../src/ops/add.ts'
import { backward } from '../../src/tensor/backward.ts'
import { scope } from '../../src/tensor/scope.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import { expectClose } from '../../src/testing/close.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'

await openTestGpu()

describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
  test.each([[[3, 5, 7, 10]], [[]], [[1]], [[3, 13]], [[64, 65]]])('%o', async (shape) => {
    const [a, b] = [uniform(shape, 1).data, uniform(shape, 2).data]
    const y = add(tensor(a, shape, dtype), tensor(b, shape, dtype))
    expect(y).toMatchObject({ shape, dtype })
    expectClose(
      await read(y),
      Array.from(a, (value, i) => value + b[i]),
      dtype,
      { shape },
    )
  })
})

test('gradient, finite differences', () => {
  const shape = [3, 5, 2, 3]
  return gradcheck('add', ({ a, b }) => add(a, b), { a: uniform(shape, 1), b: uniform(shape, 2) })
})

test('a tensor added to itself gets both gradients', async () => {
  const x = tensor([1, 2, 3], [3])
  x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  const sum = scope(() => {
    const double = add(x, x)
    const y = add(double, double)
    backward(y, tensor([1, 10, 100], [3]))
    return y
  })
  expect([...(await read(sum))]).toEqual([4, 8, 12])
  expect([...(await read(x.leaf.gradient!))]).toEqual([4, 40, 400])
})

test('refuses what does not fit, before any work', () => {
  expect(() => add(zeros([2, 3]), zeros([3, 2]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: add: the shapes differ
      a  [2,3] f32
      b  [3,2] f32
      expected the same shape]
  `)
  expect(() => add(zeros([2, 3]), zeros([2, 3], 'f16'))).toThrowErrorMatchingInlineSnapshot(`
    [DtypeError: add: the storage types differ
      a  [2,3] f32
      b  [2,3] f16
      expected the same type
      Fix: cast one of them]
  `)
})
