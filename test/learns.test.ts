import { describe, expect, test } from 'vitest'
import { augTransforms } from '../src/data/augment/transforms.ts'
import { imagenetStats, normalize } from '../src/data/augment/normalize.ts'
import { Learner } from '../src/train/learner.ts'
import { labelSmoothing } from '../src/train/fit/losses.ts'
import { accuracy } from '../src/train/fit/metrics.ts'
import { openTestGpu } from './helpers/gpu.ts'
import { tinyLoaders, tinyModel } from './helpers/tiny.ts'

const gpu = await openTestGpu()

/** Trains the tiny network on 32 pictures of stripes, measured on the same number of others. */
async function trained(precision: 'f32' | 'mixed', options: { epochs?: number; seed?: number } = {}): Promise<Learner> {
  const loaders = await tinyLoaders({ train: 32, valid: 33, batchSize: 8, batchTransforms: [normalize(imagenetStats)] })
  const learner = new Learner(loaders, tinyModel({ seed: options.seed ?? 1 }), { metrics: [accuracy] })
  if (precision === 'mixed') learner.toFp16()
  await learner.fitOneCycle(options.epochs ?? 40, 2e-2)
  return learner
}

describe('a tiny network on 32 pictures', () => {
  test('begins at the loss of a guess and learns them by heart', async () => {
    const learner = await trained('f32')
    const { rawLosses } = learner.recorder
    // ln 3 for three classes, and what the spread of random outputs adds.
    expect(rawLosses[0]).toBeGreaterThan(0.8)
    expect(rawLosses[0]).toBeLessThan(2.5)
    expect(Math.max(...rawLosses.slice(-4))).toBeLessThan(0.1)
    const memory = await learner.validate(learner.loaders.train)
    expect(memory.metrics['accuracy']).toBe(1)
    // A guess is a third.
    expect(learner.recorder.rows.at(-1)?.metrics['accuracy']).toBeGreaterThan(0.6)
  })

  test('mixed precision goes the same way as f32', async () => {
    const [single, mixed] = [await trained('f32'), await trained('mixed')]
    const [a, b] = [single.recorder.rawLosses, mixed.recorder.rawLosses]
    expect(b.length).toBe(a.length)
    // One rounding to f16 in every layer: 2⁻¹¹ each, so under a percent at the first step; then training spreads it.
    expect(Math.abs(b[0] / a[0] - 1)).toBeLessThan(0.01)
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
    for (let from = 0; from < a.length; from += 12) {
      expect(Math.abs(mean(b.slice(from, from + 12)) - mean(a.slice(from, from + 12)))).toBeLessThan(0.1)
    }
    expect(mean(b.slice(-4))).toBeLessThan(0.1)
  })

  test('in mixed precision validation runs in f16 too, and its outputs are numbers', async () => {
    const learner = await trained('mixed', { epochs: 1 })
    const { predictions, losses } = await learner.getPredictions()
    expect([...predictions.data, ...losses].every(Number.isFinite)).toBe(true)
    const half = await learner.validate()
    learner.toFp32()
    expect(Math.abs((await learner.validate()).loss - half.loss)).toBeLessThan(0.02)
  })

  test('every transform, a smoothed loss and fineTune, in mixed precision', async () => {
    const loaders = await tinyLoaders({
      train: 32,
      valid: 9,
      batchSize: 8,
      size: 24,
      batchTransforms: [...augTransforms({ size: 16, minScale: 0.5 }), normalize(imagenetStats)],
    })
    const learner = new Learner(loaders, tinyModel({ outputs: 10 }), {
      metrics: [accuracy],
      loss: labelSmoothing(),
    }).toFp16()
    await learner.fitOneCycle(8, 2e-2)
    const [first, last] = [learner.recorder.losses[0], learner.recorder.losses.at(-1)]
    await learner.fineTune(2, 5e-3)
    expect(last).toBeLessThan((first ?? 0) * 0.8)
    expect(learner.recorder.history.length).toBe(11)
    expect(
      learner.recorder.history.every((row) => Number.isFinite(row.trainLoss) && Number.isFinite(row.validLoss)),
    ).toBe(true)
    const { predictions, targets } = await learner.tta()
    expect(predictions.columns).toBe(10)
    expect(accuracy(predictions, targets)).toBeGreaterThan(0.3)
  })
})

test('memory does not grow over 200 steps of mixed precision, nor from fit to fit', async () => {
  const loaders = await tinyLoaders({ train: 40, valid: 4, batchSize: 4, batchTransforms: augTransforms() })
  const learner = new Learner(loaders, tinyModel()).toFp16()
  await learner.fit(1)
  const { allocatedBytes, usedBytes } = gpu.buffers
  await learner.fit(20)
  expect(learner.trainIteration).toBe(200)
  for (let i = 0; i < 5; i++) await learner.fit(1)
  expect(gpu.buffers.allocatedBytes).toBe(allocatedBytes)
  // Less where the tests before have left something that is collected meanwhile.
  expect(gpu.buffers.usedBytes).toBeLessThanOrEqual(usedBytes)
})
