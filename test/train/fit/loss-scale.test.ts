import { describe, expect, test } from 'vitest'
import { NotFiniteError } from '../../../src/base/errors.ts'
import { filled } from '../../../src/nn/init.ts'
import { StateTensor } from '../../../src/nn/parameter.ts'
import { upload } from '../../../src/tensor/read-write.ts'
import { csvLogger } from '../../../src/train/callbacks/csv-logger.ts'
import type { Callback, StepLoss } from '../../../src/train/fit/callback.ts'
import { notFinite } from '../../../src/train/fit/check-finite.ts'
import { fakePlatform } from '../../helpers/fake-platform.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { memoryFiles } from '../../helpers/memory-files.ts'
import { stripes, tinyLearner, tinyModel, type TinyOptions } from '../../helpers/tiny.ts'

await openTestGpu()

const DATA: TinyOptions = { train: 16, batchSize: 4 }

/** A loss scale that overflows every gradient at step 5, in the second of epochs of four. */
const overflowOnce: Callback = {
  name: 'overflowOnce',
  order: 0,
  runsOn: 'train',
  prepareBatch({ trainIteration, scaler }) {
    if (trainIteration === 5 && scaler?.mixed) upload(scaler.scale, [2 ** 120])
  },
}

describe('skipped steps', () => {
  test('and the loss scale are in rows, table, file, and with every loss', async () => {
    const files = memoryFiles()
    const platform = fakePlatform({ picture: (path) => stripes(path, 16), files })
    const known: StepLoss[] = []
    const look: Callback = { name: 'look', order: 0, lossKnown: (_, loss) => void known.push(loss) }
    const { learner, lines } = await tinyLearner(
      { callbacks: [overflowOnce, csvLogger('a.csv'), look] },
      { ...DATA, platform },
    )
    await learner.toFp16().fit(3)
    expect(learner.recorder.rows.map(({ skippedSteps }) => skippedSteps)).toEqual([0, 3, 4])
    expect(learner.recorder.rows.map(({ lossScale }) => lossScale)).toEqual([65536, 2 ** 117, 2 ** 113])
    expect(lines[0]).toBe('epoch     train_loss  valid_loss  accuracy  skipped   scale     time')
    expect(lines[2]).toMatch(/ {2}3 {9}1\.66e\+35 {2}\d\d:\d\d$/)
    const csv = (await files.readText('a.csv')).split('\n')
    expect(csv[0]).toBe('epoch,train_loss,valid_loss,accuracy,skipped,scale,time')
    expect(csv[2].split(',').slice(4, 6)).toEqual(['3', String(2 ** 117)])
    expect(known.map(({ scaling }) => scaling?.skippedSteps)).toEqual([0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7])
  })

  test('do not happen in f32, whose table is that of the notebook', async () => {
    const known: StepLoss[] = []
    const { learner, lines } = await tinyLearner(
      { callbacks: [{ name: 'look', order: 0, lossKnown: (_, loss) => void known.push(loss) }] },
      DATA,
    )
    await learner.fit(1)
    expect(lines[0]).toBe('epoch     train_loss  valid_loss  accuracy  time')
    expect(learner.recorder.rows[0]).not.toHaveProperty('skippedSteps')
    expect(known[0].scaling).toBeUndefined()
  })
})

describe('a loss scale that keeps falling', () => {
  test('ends the fit, with what to do', async () => {
    const model = tinyModel()
    // Beyond the largest f16, as a filter of a broken file may be.
    const [filter] = model.parameters()
    filter.write(new Float32Array(filter.count).fill(1e6))
    const { learner } = await tinyLearner({}, DATA)
    learner.model.loadStateDict(await model.stateDict())
    const fit = learner.toFp16().fit(48)
    await expect(fit).rejects.toThrow(NotFiniteError)
    await expect(fit).rejects.toThrowErrorMatchingInlineSnapshot(`
      [NotFiniteError: fit: the loss scale keeps falling: gradients overflow in f16 at every step
        loss scale     0.00006103515625
        skipped steps  30 of 30
        loss           NaN
        Fix: lower the learning rate, check inputs and weights for values beyond 65504, the largest in f16, or train in f32: learner.toFp32()]
    `)
    // Losses are read late, and 30 halvings are enough.
    expect(learner.epoch).toBeLessThan(16)
  })

  test('ends a search that had learnt something, and suggests what it saw', async () => {
    const { learner } = await tinyLearner({}, DATA)
    const search = await learner.toFp16().lrFind({ endLr: 1e10, steps: 150, stopWhenDiverged: false })
    expect(search.suggestions.valley.lr).toBeLessThan(10)
  })
})

describe('numbers that are not finite any more', () => {
  test.each(['running_mean', 'running_var'])('are said, with the layer and once in a fit: %s', async (name) => {
    const { learner, lines } = await tinyLearner({}, DATA)
    const buffer = learner.model.buffers().find(({ path }) => path === `1.1.${name}`)!
    buffer.write(new Float32Array(buffer.count).fill(1).with(5, NaN))
    const said = `after the training of epoch 0 the numbers of 1.1.${name} are not finite: use a smaller learning rate or another initialization`
    await learner.fit(2)
    expect(lines.filter((line) => line.includes('not finite'))).toEqual([said])
    // Another fit says it again.
    await learner.fit(1)
    expect(lines.filter((line) => line.includes('not finite'))).toEqual([said, said])
  })

  test('are not said of a search, which puts everything back, nor where all is well', async () => {
    const { learner, lines } = await tinyLearner({}, DATA)
    await learner.lrFind({ endLr: 1e6, stopWhenDiverged: false }).catch(() => {})
    await learner.fit(1)
    expect(lines.filter((line) => line.includes('not finite'))).toEqual([])
  })

  test('are found wherever they stand', async () => {
    const states = [1, 3, 4, 257, 5000].flatMap((count) =>
      [NaN, Infinity, -Infinity, 0].flatMap((value) =>
        [0, count - 1].map((place) => {
          const state = new StateTensor(`${count} ${value} ${place}`, [count], filled([count], 1))
          state.write(new Float32Array(count).fill(3e38).with(place, value))
          return state
        }),
      ),
    )
    const found = (await notFinite(states)).map(({ path }) => path)
    expect(found).toEqual(states.map(({ path }) => path).filter((path) => !path.includes(' 0 ')))
    expect(await notFinite([])).toEqual([])
  })
})
