import { describe, expect, test } from 'vitest'
import { accuracy } from '../../../src/train/fit/metrics.ts'
import { cells, columnNames, tableLine } from '../../../src/train/fit/epoch-table.ts'
import { SmoothLoss } from '../../../src/train/fit/smooth-loss.ts'
import type { Step } from '../../../src/train/fit/callback.ts'
import type { FitState } from '../../../src/train/fit/state.ts'
import { Recorder } from '../../../src/train/callbacks/recorder.ts'
import { statusLine } from '../../../src/train/callbacks/progress.ts'

describe('the smoothed loss', () => {
  test('is right from the first value on: 2, 1, 3 by hand', () => {
    const smooth = new SmoothLoss()
    const values = [2, 1, 3].map((loss) => {
      smooth.add(loss)
      return smooth.value
    })
    expect(values[0]).toBeCloseTo(2, 12)
    expect(values[1]).toBeCloseTo(1.4949495, 7)
    expect(values[2]).toBeCloseTo(2.0068018, 7)
  })

  test('of a constant is the constant, and there is none before the first', () => {
    const smooth = new SmoothLoss()
    expect(smooth.value).toBeNaN()
    for (let i = 0; i < 500; i++) smooth.add(0.7)
    expect(smooth.value).toBeCloseTo(0.7, 12)
  })

  test('a loss that is not finite is not hidden', () => {
    const smooth = new SmoothLoss()
    for (const loss of [1, NaN, 1]) smooth.add(loss)
    expect(smooth.value).toBeNaN()
  })
})

test('a fit that makes no step is not among the fits', () => {
  const state = { loaders: { train: { batchCount: 1 } } } as FitState
  const recorder = new Recorder()
  recorder.beforeFit(state)
  expect(recorder.fits).toEqual([])
  recorder.lossKnown(state, { iteration: 0, loss: 2 })
  recorder.beforeFit(state)
  expect(recorder.fits.map(({ rawLosses }) => rawLosses)).toEqual([[2]])
})

test('a step has the rate and momentum of the last group, and none if it was cancelled before its loss', () => {
  const recorder = new Recorder()
  const groups = [
    { lr: 1, momentum: 0.1 },
    { lr: 2, momentum: 0.2 },
  ]
  const state = { optimizer: { hyperparameters: groups } } as unknown as FitState
  for (const loss of [{}, undefined]) recorder.afterBatch(state, { loss, batch: { count: 4 } } as Step)
  expect([recorder.lrs, recorder.momentums]).toEqual([[2], [0.2]])
})

describe('images per second', () => {
  /** The row of an epoch in which the clock shows these times, in ms, and batches of these sizes have a loss. */
  function rowOf(times: number[], counts: readonly number[]) {
    const optimizer = { hyperparameters: [{ lr: 1, momentum: 0 }] }
    const state = { platform: { now: () => times.shift() }, loaders: { train: {} }, metrics: [], optimizer }
    const recorder = new Recorder()
    recorder.beforeFit(state as unknown as FitState)
    for (let epoch = 0; times.length > 0; epoch++) {
      recorder.beforeEpoch(state as unknown as FitState)
      for (const count of epoch === 0 ? counts : []) {
        recorder.afterBatch(state as unknown as FitState, { loss: {}, batch: { count } } as Step)
      }
      if (epoch === 0) recorder.afterTrain(state as unknown as FitState)
      recorder.afterEpoch(state as unknown as FitState)
    }
    return recorder.rows.at(-1)
  }

  test('are those of the training alone', () => {
    expect(rowOf([1000, 3000, 5000], [4, 4])).toMatchObject({ imagesPerSecond: 4, timeMs: 4000 })
  })

  test('count the steps that were taken, where a callback ended the training early', () => {
    expect(rowOf([1000, 2000, 5000], [4])).toMatchObject({ imagesPerSecond: 4 })
  })

  test('are not known of an epoch that was cancelled before its training', () => {
    expect(rowOf([1000, 3000, 5000, 6000, 7000], [4, 4])).toMatchObject({ imagesPerSecond: NaN, timeMs: 1000 })
  })
})

test('steps that were skipped in the fit before are not subtracted', () => {
  const state = {
    platform: { now: () => 0 },
    loaders: { train: { batchCount: 1 } },
    metrics: [],
  } as unknown as FitState
  const recorder = new Recorder()
  for (const skippedSteps of [3, 1]) {
    recorder.beforeFit(state)
    recorder.beforeEpoch(state)
    recorder.lossKnown(state, { iteration: 0, loss: 2, scaling: { lossScale: 1024, skippedSteps } })
    recorder.afterEpoch(state)
    expect(recorder.rows.map((row) => row.skippedSteps)).toEqual([skippedSteps])
  }
})

describe('the table', () => {
  const row = {
    epoch: 0,
    trainLoss: 1.762589,
    validLoss: 1.657759,
    metrics: { accuracy: 0.50149396 },
    timeMs: 136_900,
    imagesPerSecond: 80,
  }
  const names = columnNames({ metrics: [accuracy], precision: 'f32' })

  test('has the columns of the notebook', () => {
    expect(names).toEqual(['epoch', 'train_loss', 'valid_loss', 'accuracy', 'time'])
    expect(cells(row)).toEqual(['0', '1.762589', '1.657759', '0.501494', '02:16'])
    expect(cells({ ...row, timeMs: 3_600_000 + 61_000 }).at(-1)).toBe('1:01:01')
  })

  test('in mixed precision has the steps that were skipped, and the loss scale', () => {
    const mixed = columnNames({ metrics: [accuracy], precision: 'mixed' })
    const line = (lossScale: number) => tableLine(mixed, cells({ ...row, skippedSteps: 3, lossScale }))
    expect([tableLine(mixed, mixed), line(8192), line(2 ** -13)].join('\n')).toMatchInlineSnapshot(`
      "epoch     train_loss  valid_loss  accuracy  skipped   scale     time
      0         1.762589    1.657759    0.501494  3         8192      02:16
      0         1.762589    1.657759    0.501494  3         1.22e-4   02:16"
    `)
  })

  test('stands in columns of at least eight characters', () => {
    expect([tableLine(names, names), tableLine(names, cells(row))].join('\n')).toMatchInlineSnapshot(`
      "epoch     train_loss  valid_loss  accuracy  time
      0         1.762589    1.657759    0.501494  02:16"
    `)
  })
})

describe('the status', () => {
  const state = { what: 'epoch 1/5', done: 62, count: 167, elapsedMs: 9700, loss: 0.85431, batchSize: 64 }

  test('says how far, how long, the loss and how fast', () => {
    expect(statusLine(state)).toBe('epoch 1/5  37% [62/167 00:09<00:16 0.8543]  409 images/s')
  })

  test('leaves out a loss that is not known yet, and a rate of no time', () => {
    expect(statusLine({ ...state, loss: NaN, done: 1, elapsedMs: 0 })).toBe('epoch 1/5  0% [1/167 00:00<00:00]')
    expect(statusLine({ ...state, loss: undefined, done: 167, elapsedMs: 20_000_000 })).toBe(
      'epoch 1/5  100% [167/167 5:33:20<00:00]  0.5 images/s',
    )
  })
})
