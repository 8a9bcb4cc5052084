import { describe, expect, test } from 'vitest'
import { linear } from '../../src/ops/linear.ts'
import { backward } from '../../src/tensor/backward.ts'
import { scope } from '../../src/tensor/scope.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { expectClose, normOf } from '../../src/testing/close.ts'
import { testFamilies } from '../helpers/families.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'

const gpu = await openTestGpu()
const families = testFamilies(gpu, ['broadcast', 'tile'])

describe.each(families)('family %s', (family) => {
  describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
    test.each([
      [3, 5, 10],
      [1, 1, 1],
      [17, 33, 30],
      [16, 64, 1000],
      [64, 512, 12],
    ])('[%i,%i]→%i', async (N, C, O) => {
      gpu.family = family
      const x = uniform([N, C], 1)
      const weight = uniform([O, C], 2)
      const bias = uniform([O], 3)
      const dy = uniform([N, O], 4)
      const leaves = [tensor(x.data, [N, C], dtype), tensor(weight.data, [O, C], dtype), tensor(bias.data, [O])]
      for (const leaf of leaves) leaf.leaf = { trainable: true, gradient: undefined, hasGradient: false }
      const y = scope(() => {
        const made = linear(leaves[0], leaves[1], leaves[2])
        backward(made, tensor(dy.data, [N, O], dtype))
        return made
      })
      const want = reference(N, C, O, x.data, weight.data, bias.data, dy.data)
      // The product is stored before the bias is added: two roundings, the first of the size of the product.
      expectClose(await read(y), want.y, dtype, {
        name: 'y',
        roundings: 2,
        norm: Math.max(normOf(want.y), normOf(want.product)),
      })
      const gradients = leaves.map(({ leaf }) => leaf?.gradient as Tensor)
      expectClose(await read(gradients[0]), want.dx, dtype, { name: 'dx' })
      expectClose(await read(gradients[1]), want.dw, 'f32', { name: 'dw' })
      expectClose(await read(gradients[2]), want.dbias, 'f32', { name: 'dbias' })
    })
  })

  test('gradients, finite differences', async () => {
    gpu.family = family
    const operands = {
      x: uniform([3, 5], 1),
      weight: uniform([6, 5], 2),
      bias: { ...uniform([6], 3), always: 'f32' as const },
    }
    await gradcheck('linear', ({ x, weight, bias }) => linear(x, weight, bias), operands)
  })
})

test('refuses what does not fit, before any work', () => {
  expect(() => linear(zeros([2, 8]), zeros([10, 7]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: linear: the columns of x and weight differ
      x       [2,8] f32
      weight  [10,7] f32
      expected the last axis of the weight to be 8]
  `)
  expect(() => linear(zeros([2, 8]), zeros([10, 8]), zeros([9]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: linear: there must be one bias per output
      x       [2,8] f32
      weight  [10,8] f32
      bias    [9] f32
      expected the bias as [10]]
  `)
  expect(() => linear(zeros([2, 8], 'f16'), zeros([10, 8]))).toThrowErrorMatchingInlineSnapshot(`
    [DtypeError: linear: the storage types differ
      x       [2,8] f16
      weight  [10,8] f32
      Fix: cast one of them]
  `)
  expect(() => linear(zeros([8]), zeros([10, 8]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: linear: x must have rows and the weight must be a matrix
      x       [8] f32
      weight  [10,8] f32
      expected x as [N,C] or [N,…,C], the weight as [O,C]]
  `)
})

function reference(
  N: number,
  C: number,
  O: number,
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  bias: ArrayLike<number>,
  dy: ArrayLike<number>,
) {
  const y = new Float64Array(N * O)
  const product = new Float64Array(N * O)
  const dx = new Float64Array(N * C)
  const dw = new Float64Array(O * C)
  const dbias = new Float64Array(O)
  for (let n = 0; n < N; n++) {
    for (let o = 0; o < O; o++) {
      dbias[o] += dy[n * O + o]
      for (let c = 0; c < C; c++) {
        product[n * O + o] += x[n * C + c] * weight[o * C + c]
        dx[n * C + c] += dy[n * O + o] * weight[o * C + c]
        dw[o * C + c] += dy[n * O + o] * x[n * C + c]
      }
      y[n * O + o] = product[n * O + o] + bias[o]
    }
  }
  return { y, product, dx, dw, dbias }
}
