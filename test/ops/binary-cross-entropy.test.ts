import { describe, expect, test } from 'vitest'
import { sigmoidCrossEntropy } from '../../src/ops/binary-cross-entropy.ts'
import { item, read, tensor, zeros } from '../../src/tensor/read-write.ts'
import { expectClose } from '../../src/testing/close.ts'
import { elementCases, expectElementLoss, lossAndGradient } from '../helpers/element-loss.ts'
import { testFamilies } from '../helpers/families.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'

const gpu = await openTestGpu()

describe.each(testFamilies(gpu))('family %s', (family) => {
  describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
    test.each(elementCases('cross_entropy'))(
      'PyTorch: [$N,$K] reduction $reduction, weights $weighted, of positives $positive',
      async (one) => {
        gpu.family = family
        const weight = Array.from(hashUniform(one.K, 3), (value) => Math.floor(8 * value) / 4)
        const posWeight = Array.from(hashUniform(one.K, 4), (value) => Math.floor(8 * value) / 2)
        const targets = hashUniform(one.N * one.K, 2).map((value) => (value < 0.4 ? 0 : value > 0.6 ? 1 : value))
        await expectElementLoss(one, targets, dtype, (x, y) =>
          sigmoidCrossEntropy(x, y, {
            reduction: one.reduction,
            weight: one.weighted === true ? tensor(weight, [one.K]) : undefined,
            posWeight: one.positive === true ? tensor(posWeight, [one.K]) : undefined,
          }),
        )
      },
    )
  })

  test('more rows than a dimension of a grid has workgroups', async () => {
    gpu.family = family
    const N = 70_000
    const { loss, gradient } = await lossAndGradient(new Float32Array(N), [N, 1], new Float32Array(N), (x, y) =>
      sigmoidCrossEntropy(x, y),
    )
    expectClose(loss, [Math.LN2], 'f32')
    expectClose(gradient.slice(-2), [0.5 / N, 0.5 / N], 'f32')
  })
})

test('PyTorch: large logits neither overflow nor lose the loss', async () => {
  const loss = sigmoidCrossEntropy(
    tensor([1000, -1000, 1000, -1000, 88, -20], [2, 3]),
    tensor([1, 0, 0, 1, 1, 0], [2, 3]),
    {
      reduction: 'none',
    },
  )
  const got = [...(await read(loss))]
  expect(got.slice(0, 4)).toEqual([0, 0, 1000, 1000])
  // Small losses keep their digits: log(1 + exp(−20)).
  expect(got[5] / 2.0611536e-9).toBeCloseTo(1, 5)
})

test('the derivative of what is certain is 0, and of what is wrong ±1', async () => {
  const { gradient } = await lossAndGradient([1000, -1000, 1000, -1000], [2, 2], [1, 0, 0, 1], (x, y) =>
    sigmoidCrossEntropy(x, y, { reduction: 'sum' }),
  )
  expect([...gradient]).toEqual([0, 0, 1, -1])
})

test('NaN stays in its row', async () => {
  const loss = sigmoidCrossEntropy(tensor([0, NaN, 0, 0], [2, 2]), zeros([2, 2]), { reduction: 'rows' })
  expect([...(await read(loss))]).toEqual([NaN, expect.closeTo(Math.LN2, 6)])
})

test('gradient, finite differences', async () => {
  const y = tensor(hashUniform(21, 2), [3, 7])
  const posWeight = tensor(hashUniform(7, 3, 0.5, 2), [7])
  for (const reduction of ['mean', 'rows', 'none'] as const) {
    await gradcheck('sigmoidCrossEntropy', ({ x }) => sigmoidCrossEntropy(x, y, { reduction, posWeight }), {
      x: uniform([3, 7], 1, -3, 3),
    })
  }
})

test('refuses what does not fit, before any work', async () => {
  const x = zeros([8, 3])
  expect(() => sigmoidCrossEntropy(x, zeros([8]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: sigmoidCrossEntropy: the targets do not fit the outputs
      outputs  [8,3] f32
      targets  [8] f32
      expected [8,3] f32, one number per output]
  `)
  expect(() => sigmoidCrossEntropy(x, zeros([8, 3], 'u32'))).toThrow('the targets have the wrong type')
  expect(() => sigmoidCrossEntropy(zeros([8]), zeros([8]))).toThrow('the outputs must be a matrix')
  expect(() => sigmoidCrossEntropy(x, x, { weight: zeros([8]) })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: sigmoidCrossEntropy: weight does not fit the outputs
      outputs  [8,3] f32
      weight   [8] f32
      expected [3] f32, one per column of the outputs]
  `)
  expect(() => sigmoidCrossEntropy(x, x, { reduction: 'median' as 'mean' })).toThrow("expected 'mean', 'sum', 'rows'")
  expect(await item(sigmoidCrossEntropy(x, zeros([8, 3])))).toBeCloseTo(Math.LN2, 6)
})
