import { describe, expect, test } from 'vitest'
import { sum } from '../../src/ops/sum.ts'
import { item, tensor, zeros } from '../../src/tensor/read-write.ts'
import { backward } from '../../src/tensor/backward.ts'
import { scope } from '../../src/tensor/scope.ts'
import { expectClose, normOf } from '../../src/testing/close.ts'
import { testFamilies } from '../helpers/families.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'

const gpu = await openTestGpu()
const families = testFamilies(gpu, ['broadcast', 'tile'])

describe.each(families)('family %s', (family) => {
  describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
    test.each([[[]], [[5]], [[3, 5, 7, 10]], [[33, 70, 13]], [[1, 1, 4]], [[64, 1000]]])('%o', async (shape) => {
      gpu.family = family
      const { data } = uniform(shape, 1)
      const y = sum(tensor(data, shape, dtype))
      expect(y).toMatchObject({ shape: [], dtype: 'f32' })
      // f32 from halves; signs cancel, so the norm is the measure.
      expectClose([await item(y)], [Array.from(data).reduce((total, value) => total + value, 0)], 'f32', {
        norm: normOf(data),
      })
    })
  })
})

test('gradient, finite differences', () => gradcheck('sum', ({ x }) => sum(x), { x: uniform([3, 5, 6], 1) }))

test('the gradient leaves the padding zero', async () => {
  const x = zeros([2, 3])
  x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  scope(() => backward(sum(x), tensor([2], [])))
  expect([...new Float32Array(await gpu.queue.read(x.leaf.gradient!.view))]).toEqual([2, 2, 2, 0, 2, 2, 2, 0])
})

test('refuses what does not fit, before any work', () => {
  expect(() => sum(zeros([3], 'u32'))).toThrowErrorMatchingInlineSnapshot(`
    [DtypeError: launch: the tensor must hold floats
      tensor  [3] u32]
  `)
})
