import { describe, expect, test } from 'vitest'
import { progressEvents, type FitProgress } from '../../../src/train/callbacks/progress-events.ts'
import type { Callback, Step } from '../../../src/train/fit/callback.ts'
import type { FitState } from '../../../src/train/fit/state.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { tinyLearner } from '../../helpers/tiny.ts'

await openTestGpu()

const DATA = { train: 40, valid: 12, batchSize: 4 }

async function fitted(epochs: number, more: readonly Callback[] = []) {
  const seen: FitProgress[] = []
  const { learner, lines } = await tinyLearner(
    { callbacks: [progressEvents((progress) => seen.push(progress), { everyMs: 0 }), ...more] },
    DATA,
  )
  await learner.fit(epochs)
  return { seen, learner, lines }
}

describe('progress for a display', () => {
  test('goes from preparing through every epoch to the end, and counts no epoch beyond the last', async () => {
    const { seen, learner } = await fitted(2)
    const phases = seen.map(({ phase, epoch }) => `${phase} ${epoch}`).filter((text, i, all) => text !== all[i - 1])
    expect(phases).toEqual(['prepare 1', 'train 1', 'validate 1', 'train 2', 'validate 2', 'end 2'])
    expect(seen.every(({ epoch, epochs }) => epoch <= epochs)).toBe(true)
    expect(seen.flatMap(({ row }) => row ?? [])).toEqual(learner.recorder.rows)
    expect(seen.at(-1)).toMatchObject({ phase: 'end', step: 20, interrupted: false })
    expect(seen.filter(({ phase }) => phase === 'end').length).toBe(1)
    expect(structuredClone(seen)).toEqual(seen)
  })

  test('counts what the GPU has finished, not what was given to it', async () => {
    const given: number[] = []
    const counted: number[] = []
    const watch: Callback = {
      name: 'watch',
      order: 70,
      afterBatch: ({ training, iteration, completed }) => {
        if (!training) return
        given.push(iteration + 1)
        counted.push(completed)
      },
    }
    const { seen } = await fitted(1, [watch])
    expect(given).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    // Nothing is known of a step when it has just been recorded.
    expect(counted[0]).toBe(0)
    expect(counted.every((count, i) => count < given[i])).toBe(true)
    const training = seen.filter(({ phase }) => phase === 'train')
    expect(training[0]).toMatchObject({ batch: 0, batches: 10 })
    expect(training[0]).not.toHaveProperty('imagesPerSecond')
    for (const { batch, imagesPerSecond, loss } of training) {
      expect([imagesPerSecond !== undefined, loss !== undefined]).toEqual([batch > 0, batch > 0])
    }
  })

  test('is not reported more often than asked', async () => {
    const seen: FitProgress[] = []
    const { learner } = await tinyLearner(
      { callbacks: [progressEvents((progress) => seen.push(progress), { everyMs: 1e9 })] },
      DATA,
    )
    await learner.fit(2)
    expect(seen.map(({ phase, row }) => (row ? 'row' : phase))).toEqual([
      'prepare',
      'train',
      'validate',
      'row',
      'train',
      'validate',
      'row',
      'end',
    ])
  })

  test('has the speed of the last seconds, and the time that is left at that; a later fit begins anew', async () => {
    const seen: FitProgress[] = []
    const callback = progressEvents((progress) => seen.push(progress), { everyMs: 0 })
    const loaders = { batchSize: 4, train: { batchCount: 100 } }
    const begun = { epoch: 0, epochs: 1, completed: 0, batchCount: 100, loaders, recorder: { smoothLoss: 2 } }
    const at = (seconds: number, completed = 0) =>
      ({ ...begun, completed, platform: { now: () => 1000 * seconds } }) as unknown as FitState
    callback.preparing?.(at(0))
    await callback.beforeTrain?.(at(0))
    // The first batch compiles for ten seconds, then each takes one, and the twelfth three.
    for (let batch = 1; batch <= 11; batch++) callback.afterBatch?.(at(9 + batch, batch), {} as Step)
    expect(seen.at(-1)).toMatchObject({ batch: 11, imagesPerSecond: 4, remainingMs: 89_000 })
    callback.lossKnown?.(at(20, 11), { iteration: 10, loss: 1 })
    callback.afterBatch?.(at(23, 12), {} as Step)
    expect(seen.at(-1)).toMatchObject({ batch: 12, step: 11, loss: 1, smoothLoss: 2 })
    expect(seen.at(-1)?.imagesPerSecond).toBeCloseTo((4 * 4) / 6)
    expect(seen.at(-1)?.remainingMs).toBeCloseTo((88 / 4) * 6000)
    callback.preparing?.(at(30))
    expect(seen.at(-1)).toMatchObject({ phase: 'prepare', step: 0 })
    expect(seen.at(-1)).not.toHaveProperty('loss')
  })

  test('says that a fit was stopped', async () => {
    const stop: Callback = { name: 'stop', order: 0, beforeTrain: (state) => state.interrupt() }
    const { seen } = await fitted(5, [stop])
    expect(seen.at(-1)).toMatchObject({ phase: 'end', epoch: 1, step: 0, interrupted: true })
  })

  test('is no matter of a search for a learning rate or of a validation', async () => {
    const seen: FitProgress[] = []
    const { learner } = await tinyLearner({ callbacks: [progressEvents((progress) => seen.push(progress))] }, DATA)
    await learner.validate()
    await learner.lrFind({ steps: 6 })
    expect(seen).toEqual([])
  })
})
