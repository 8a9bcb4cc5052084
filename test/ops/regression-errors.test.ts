import { describe, expect, test } from 'vitest'
import { absoluteError, huberError, squaredError } from '../../src/ops/regression-errors.ts'
import { tensor, zeros } from '../../src/tensor/read-write.ts'
import { elementCases, expectElementLoss, lossAndGradient } from '../helpers/element-loss.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'

await openTestGpu()

describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
  test.each(['squared', 'absolute', 'huber', 'smooth'].flatMap(elementCases))(
    'PyTorch: $name [$N,$K] reduction $reduction, delta $delta',
    async (one) => {
      const { name, reduction, delta } = one
      await expectElementLoss(one, hashUniform(one.N * one.K, 2, -6, 6), dtype, (x, y) => {
        if (name === 'squared') return squaredError(x, y, { reduction })
        if (name === 'absolute') return absoluteError(x, y, { reduction })
        return huberError(x, y, { reduction, delta, smooth: name === 'smooth' })
      })
    },
  )
})

describe('at the kinks, as in PyTorch', () => {
  test('the slope of a distance of 0 is 0, and NaN stays', async () => {
    const { loss, gradient } = await lossAndGradient([1, 2, NaN], [1, 3], [1, 0, 0], (x, y) =>
      absoluteError(x, y, { reduction: 'none' }),
    )
    expect([...loss]).toEqual([0, 2, NaN])
    expect([...gradient]).toEqual([0, 1, NaN])
  })

  test('both sides of delta have one slope', async () => {
    const { loss, gradient } = await lossAndGradient([-1, 1, 3], [1, 3], [0, 0, 0], (x, y) =>
      huberError(x, y, { reduction: 'none' }),
    )
    expect([...loss]).toEqual([0.5, 0.5, 2.5])
    expect([...gradient]).toEqual([-1, 1, 1])
  })
})

test('gradient, finite differences', async () => {
  const x = uniform([3, 5], 1, 1, 2)
  const y = zeros([3, 5])
  await gradcheck('squaredError', (given) => squaredError(given.x, y, { reduction: 'rows' }), { x })
  await gradcheck('absoluteError', (given) => absoluteError(given.x, y), { x })
  await gradcheck('huberError', (given) => huberError(given.x, y, { delta: 0.5 }), { x })
  await gradcheck('huberError', (given) => huberError(given.x, y, { delta: 3, smooth: true }), { x })
})

test('refuses what does not fit', () => {
  expect(() => squaredError(zeros([3, 2]), zeros([3]))).toThrow('expected [3,2] f32, one number per output')
  expect(() => huberError(zeros([3, 2]), zeros([3, 2]), { delta: 0 })).toThrow('delta is out of range')
  expect(() => absoluteError(tensor([1], [1]), zeros([1]))).toThrow('the outputs must be a matrix')
})
