import { describe, expect, test } from 'vitest'
import { softmax } from '../../src/ops/softmax.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import { expectClose } from '../../src/testing/close.ts'
import { testFamilies } from '../helpers/families.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { uniform } from '../../src/testing/gradcheck.ts'

const gpu = await openTestGpu()
const families = testFamilies(gpu, ['broadcast', 'tile'])

describe.each(families)('family %s', (family) => {
  describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
    test.each([
      [3, 10],
      [5, 1],
      [9, 13],
      [17, 1000],
      [1, 4],
    ])('[%i,%i]', async (N, K) => {
      gpu.family = family
      const { data } = uniform([N, K], 1, -8, 8)
      const y = softmax(tensor(data, [N, K], dtype))
      expect(y).toMatchObject({ shape: [N, K], dtype: 'f32' })
      const exponentials = Array.from(data, Math.exp)
      const want = exponentials.map((value, i) => {
        const first = Math.floor(i / K) * K
        return value / exponentials.slice(first, first + K).reduce((sum, other) => sum + other, 0)
      })
      // The result is f32 whatever the logits are.
      expectClose(await read(y), want, 'f32', { shape: [N, K] })
    })
  })

  test('more rows than a dimension of a grid has workgroups', async () => {
    gpu.family = family
    const y = await read(softmax(zeros([70000, 2])))
    expect([...new Set(y)]).toEqual([0.5])
  })

  test('neither overflows nor leaves anything in the padding', async () => {
    gpu.family = family
    const y = softmax(tensor([1000, 1000, -1000, NaN, 0, 0], [2, 3]))
    expect([...new Float32Array(await gpu.queue.read(y.view))]).toEqual([0.5, 0.5, 0, 0, NaN, NaN, NaN, 0])
  })
})

test('refuses what does not fit, before any work', () => {
  for (const x of [undefined, [1, 2]]) {
    expect(() => softmax(x as never)).toThrow('softmax: x is not of the right kind')
  }
  const x = zeros([2, 3])
  x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  expect(() => softmax(zeros([2, 3, 4]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: softmax: x must be a matrix of logits
      x  [2,3,4] f32
      expected x as [N,K]]
  `)
  expect(() => softmax(zeros([2, 3], 'u32'))).toThrowErrorMatchingInlineSnapshot(`
    [DtypeError: softmax: x must hold floats
      x  [2,3] u32]
  `)
  expect(() => softmax(x)).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: softmax: has no gradient
      x  [2,3] f32
      Fix: train on logits with softmaxCrossEntropy, or predict inside noGrad]
  `)
  noGrad(() => softmax(x))
})
