import { describe, expect, test } from 'vitest'
import { DataError } from '../../../src/base/errors.ts'
import type { Callback } from '../../../src/train/fit/callback.ts'
import { csvLogger } from '../../../src/train/callbacks/csv-logger.ts'
import { earlyStopping } from '../../../src/train/callbacks/early-stopping.ts'
import { reduceLrOnPlateau } from '../../../src/train/callbacks/reduce-lr-on-plateau.ts'
import { saveModel } from '../../../src/train/callbacks/save-model.ts'
import type { FitState } from '../../../src/train/fit/state.ts'
import { Learner } from '../../../src/train/learner.ts'
import type { Metric } from '../../../src/train/fit/metrics.ts'
import { fakePlatform } from '../../helpers/fake-platform.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { memoryFiles } from '../../helpers/memory-files.ts'
import { stripes, tinyLoaders, tinyModel } from '../../helpers/tiny.ts'

await openTestGpu()

/** A learner whose metric of that name takes these values, epoch after epoch. */
async function scripted(
  values: readonly number[],
  callbacks: readonly Callback[],
  { name = 'score', files = memoryFiles() } = {},
) {
  let epoch = 0
  const metric: Metric = Object.defineProperty(() => values[epoch++], 'name', { value: name })
  const platform = fakePlatform({ picture: (path) => stripes(path, 16), files })
  const learner = new Learner(await tinyLoaders({ platform }), tinyModel(), { metrics: [metric], callbacks })
  return { learner, files, lines: platform.lines }
}

/** Files in memory of which these writes fail, counted from 0. */
function fullAt(...failing: readonly number[]) {
  const files = memoryFiles()
  const write = files.write.bind(files)
  let writes = 0
  return Object.assign(files, {
    write: (path: string, content: string | Uint8Array) =>
      failing.includes(writes++) ? Promise.reject(new DataError(path, 'the disk is full')) : write(path, content),
  })
}

const fails: Callback = {
  name: 'fails',
  order: 0,
  beforeTrain() {
    throw new Error('mine')
  },
}

const epochsOf = ({ recorder }: Learner) => recorder.rows.length

describe('earlyStopping', () => {
  test('ends after so many epochs without an improvement, a larger score being one', async () => {
    const { learner, lines } = await scripted([1, 3, 2, 3, 4, 5], [earlyStopping({ monitor: 'score', patience: 2 })])
    await learner.fit(6, 0)
    expect(epochsOf(learner)).toBe(4)
    expect(lines).toContain('No improvement since epoch 1: early stopping')
  })

  test('for a loss or an error smaller is better, whatever else is said for others', async () => {
    const { learner } = await scripted([5, 4, 3, 3, 1], [earlyStopping({ monitor: 'error_rate' })], {
      name: 'error_rate',
    })
    await learner.fit(5, 0)
    expect(epochsOf(learner)).toBe(4)
    for (const name of ['mae', 'mse', 'rmse']) {
      const { learner: ofNumbers } = await scripted([5, 4, 3, 3, 1], [earlyStopping({ monitor: name })], { name })
      await ofNumbers.fit(5, 0)
      expect(epochsOf(ofNumbers)).toBe(4)
    }
    const other = await scripted([5, 4, 3, 3, 1], [earlyStopping({ monitor: 'score', better: 'less' })])
    await other.learner.fit(5, 0)
    expect(epochsOf(other.learner)).toBe(4)
  })

  test('what is smaller than minDelta is no improvement, and NaN never is one', async () => {
    const { learner } = await scripted([1, 1.25, 1.5, 1.75], [earlyStopping({ monitor: 'score', minDelta: 0.25 })])
    await learner.fit(4, 0)
    expect(epochsOf(learner)).toBe(2)
    const wide = await scripted([5, 4.5, 4, 3.5], [earlyStopping({ monitor: 'my_loss', minDelta: 0.25 })], {
      name: 'my_loss',
    })
    await wide.learner.fit(4, 0)
    expect(epochsOf(wide.learner)).toBe(4)
    const never = await scripted([NaN, 1, 2], [earlyStopping({ monitor: 'score' })])
    await never.learner.fit(3, 0)
    expect(epochsOf(never.learner)).toBe(1)
  })

  test('the best of a fit is forgotten with the next, unless told otherwise', async () => {
    for (const [resetOnFit, epochs] of [
      [true, 2],
      [false, 1],
    ] as const) {
      const { learner } = await scripted([9, 1, 2, 3], [earlyStopping({ monitor: 'score', resetOnFit, patience: 1 })])
      await learner.fit(1, 0)
      await learner.fit(2, 0)
      expect(epochsOf(learner)).toBe(epochs)
    }
  })

  test('a figure that is not there, and a patience of none, are refused', async () => {
    const { learner } = await scripted([1], [earlyStopping({ monitor: 'accuracy' })])
    await expect(learner.fit(1, 0)).rejects.toThrowErrorMatchingInlineSnapshot(`
      [OptionError: earlyStopping: there is no figure 'accuracy' to monitor
        expected train_loss, valid_loss, score]
    `)
    expect(() => earlyStopping({ patience: 0 })).toThrow('patience is out of range')
    expect(() => earlyStopping({ minDelta: -1 })).toThrow('minDelta is out of range')
  })
})

test('epochs without an improvement are counted anew in every fit', async () => {
  const options = { monitor: 'score', resetOnFit: false, patience: 2 }
  const { learner, lines } = await scripted([9, 1, 1, 1], [earlyStopping(options), reduceLrOnPlateau(options)])
  await learner.fit(2, 1e-3)
  await learner.fit(2, 1e-3)
  expect(epochsOf(learner)).toBe(2)
  expect(lines.filter((line) => line.includes('reducing'))).toEqual(['Epoch 1: reducing lr to 0.0001'])
})

test('what remembers figures of a fit is in one at a time', async () => {
  const shared = earlyStopping({ monitor: 'score' })
  const [first, second] = [await scripted([1, 2, 3, 4], [shared]), await scripted([1, 2], [shared])]
  const fitting = first.learner.fit(2, 0)
  await expect(second.learner.fit(2, 0)).rejects.toThrowErrorMatchingInlineSnapshot(`
    [OptionError: callback earlyStopping: it is in the fit of another learner that is going on
      Fix: make one for each learner, as it remembers figures of its fit, or await the other fit first]
  `)
  await fitting
  expect(epochsOf(first.learner)).toBe(2)
  // After it, also one that failed, the callback is free.
  await expect(first.learner.fit(1, 0, { callbacks: [fails] })).rejects.toThrow('mine')
  await second.learner.fit(2, 0)
  expect(epochsOf(second.learner)).toBe(2)
})

describe('reduceLrOnPlateau', () => {
  test('divides all learning rates after so many epochs without an improvement, down to the smallest', async () => {
    const groups = (model: { parameters(): readonly unknown[] }) =>
      [model.parameters().slice(0, 3), model.parameters().slice(3)] as never
    const platform = fakePlatform({ picture: (path) => stripes(path, 16) })
    const values = [1, 1, 1, 2, 1, 1, 1]
    let epoch = 0
    const score: Metric = Object.defineProperty(() => values[epoch++], 'name', { value: 'score' })
    const rates: string[] = []
    const learner = new Learner(await tinyLoaders({ platform }), tinyModel(), {
      groups,
      metrics: [score],
      callbacks: [
        reduceLrOnPlateau({ monitor: 'score', patience: 1, factor: 4, minLr: 2e-6 }),
        {
          name: 'look',
          order: 70,
          afterEpoch: ({ optimizer }) =>
            void rates.push(optimizer!.hyperparameters.map(({ lr }) => lr.toPrecision(3)).join(' ')),
        },
      ],
    })
    await learner.fit(7, { start: 1e-5, stop: 1e-4 })
    expect(rates).toEqual([
      '0.0000100 0.000100',
      '0.00000250 0.0000250',
      '0.00000200 0.00000625',
      '0.00000200 0.00000625',
      '0.00000200 0.00000200',
      '0.00000200 0.00000200',
      '0.00000200 0.00000200',
    ])
    expect(platform.lines.filter((line) => line.includes('reducing'))).toEqual([
      'Epoch 1: reducing lr to 0.000025',
      'Epoch 2: reducing lr to 0.00000625',
      'Epoch 4: reducing lr to 0.000002',
    ])
  })

  test('raises no rate that is below the smallest', async () => {
    const { learner } = await scripted([1, 1], [reduceLrOnPlateau({ monitor: 'score', minLr: 1e-4 })])
    await learner.fit(2, 1e-5)
    expect(learner.optimizer!.hyperparameters.map(({ lr }) => lr)).toEqual([1e-5])
  })

  test('is refused where a schedule would undo each reduction, with nothing trained', async () => {
    const { learner } = await scripted([1, 1, 1], [reduceLrOnPlateau({ monitor: 'score' })])
    await expect(learner.fitOneCycle(3, 1e-3)).rejects.toThrow('no reduction lasts')
    await expect(learner.fineTune(1)).rejects.toThrow('no reduction lasts')
    await expect(learner.fitFlatCos(3, 1e-3)).rejects.toThrow('no reduction lasts')
    expect(epochsOf(learner)).toBe(0)
    const plain = await scripted([1, 1, 1], [])
    const callbacks = [reduceLrOnPlateau({ monitor: 'score' })]
    await expect(plain.learner.fitSgdr(2, 1, { callbacks })).rejects.toThrow('no reduction lasts')
    await learner.fit(1, 1e-3)
  })

  test('waits from anew after each reduction', async () => {
    const { learner, lines } = await scripted([1, 1, 1, 1, 1], [reduceLrOnPlateau({ monitor: 'score', patience: 2 })])
    await learner.fit(5, 1e-3)
    expect(lines.filter((line) => line.includes('reducing'))).toEqual([
      'Epoch 2: reducing lr to 0.0001',
      'Epoch 4: reducing lr to 0.00001',
    ])
    expect(() => reduceLrOnPlateau({ factor: 1 })).toThrow('factor is out of range')
  })
})

describe('saveModel', () => {
  const weightsOf = async ({ model }: FitState) => [...(await model.stateDict()).get('3.weight')!.data]

  test('keeps the best model and ends with it', async () => {
    const kept: number[][] = []
    const { learner, files, lines } = await scripted(
      [1, 5, 2],
      [
        saveModel({ monitor: 'score', file: 'models/best.safetensors' }),
        { name: 'look', order: 10, afterEpoch: async (each) => void kept.push(await weightsOf(each)) },
      ],
    )
    await learner.fit(3, 1e-2)
    expect(lines.filter((line) => line.startsWith('Better'))).toEqual([
      'Better model found at epoch 0 with score value: 1.',
      'Better model found at epoch 1 with score value: 5.',
    ])
    expect(await weightsOf(learner)).toEqual(kept[1])
    expect([...files.contents.keys()]).toEqual(['models/best.safetensors'])
  })

  test.each([
    [false, 4],
    [true, 2],
  ])('saves and loads the state of the optimizer only where asked: %s', async (withOptimizer, steps) => {
    const { learner, files, lines } = await scripted([5, 1], [saveModel({ monitor: 'score', withOptimizer })])
    await learner.fit(2, 1e-2)
    expect(lines.filter((line) => line.includes('no optimizer state'))).toEqual([])
    const file = new TextDecoder('latin1').decode(files.contents.get('models/model.safetensors'))
    expect(file.includes('"optimizer.')).toBe(withOptimizer)
    // Two steps an epoch, of which the first is the better one.
    expect((await learner.optimizer!.state()).get('3.weight.step')!.data[0]).toBe(steps)
  })

  test('by the training loss of the table', async () => {
    const { learner, lines } = await scripted([1], [saveModel({ monitor: 'train_loss' })])
    await learner.fit(1, 1e-2)
    const [{ trainLoss }] = learner.recorder.rows
    expect(lines).toContain(`Better model found at epoch 0 with train_loss value: ${trainLoss}.`)
  })

  test('after every epoch, or every so many, and then nothing is loaded', async () => {
    const { learner, files } = await scripted([1, 2, 3, 4], [saveModel({ everyEpoch: 2, file: 'a.b/net.safetensors' })])
    await learner.fit(4, 1e-2)
    expect([...files.contents.keys()]).toEqual(['a.b/net_0.safetensors', 'a.b/net_2.safetensors'])
    const each = await scripted([1, 2], [saveModel({ everyEpoch: true, file: 'net' })])
    await each.learner.fit(2, 1e-2)
    expect([...each.files.contents.keys()]).toEqual(['net_0', 'net_1'])
    expect(() => saveModel({ everyEpoch: true, monitor: 'score', minDelta: 0.1 })).toThrow(
      'saveModel: monitor and minDelta would choose the best, and everyEpoch saves all',
    )
    const both = await scripted([2, 1], [saveModel({ everyEpoch: true, file: 'net' }), saveModel({ monitor: 'score' })])
    await both.learner.fit(2, 1e-2)
    expect([...both.files.contents.keys()]).toEqual(['net_0', 'models/model.safetensors', 'net_1'])
  })

  test('at the end', async () => {
    const { learner, files } = await scripted(
      [3, 2, 1],
      [saveModel({ monitor: 'score', atEnd: true, withOptimizer: true })],
    )
    await learner.fit(3, 1e-2)
    const last = await weightsOf(learner)
    const other = (await scripted([], [], { files })).learner
    await other.load('models/model.safetensors')
    expect(await weightsOf(other)).toEqual(last)
    expect(other.optimizer!.hyperparameters[0].lr).toBe(1e-2)
  })

  test('ends a fit before its first step where nothing can be written', async () => {
    const asked: string[] = []
    const requireWritable = (path: string) => {
      asked.push(path)
      return Promise.reject(new DataError(path, 'permission denied'))
    }
    for (const options of [{ monitor: 'score' }, { atEnd: true }, { everyEpoch: true }] as const) {
      const files = Object.assign(memoryFiles(), { requireWritable })
      const { learner } = await scripted([1], [saveModel({ file: 'x/net.st', ...options })], { files })
      await expect(learner.fit(1)).rejects.toThrow('permission denied')
      expect(learner.trainIteration).toBe(0)
    }
    expect(asked).toEqual(['x/net.st', 'x/net.st', 'x/net_0.st'])
  })

  test('what cannot be saved for a moment does not end the fit, and is not taken for the best', async () => {
    const files = fullAt(1, 2)
    const kept: number[][] = []
    const { learner, lines } = await scripted(
      [1, 5, 4, 3],
      [
        saveModel({ monitor: 'score' }),
        { name: 'look', order: 10, afterEpoch: async (each) => void kept.push(await weightsOf(each)) },
      ],
      { files },
    )
    await learner.fit(4, 1e-2)
    expect(lines.filter((line) => line.startsWith('no '))).toEqual(
      Array<string>(2).fill('no model was written, and training goes on: models/model.safetensors: the disk is full'),
    )
    // That of 5 and of 4 were not saved, so that 3 is the best that can be loaded.
    expect(await weightsOf(learner)).toEqual(kept[3])
    const each = await scripted([1, 2], [saveModel({ everyEpoch: true, file: 'net' })], { files: fullAt(0) })
    await each.learner.fit(2, 1e-2)
    expect([...each.files.contents.keys()]).toEqual(['net_1'])
    const last = await scripted([1], [saveModel({ atEnd: true })], { files: fullAt(0, 1) })
    await expect(last.learner.fit(1, 1e-2)).rejects.toThrow('the disk is full')
  })

  test('an older file is not taken for that of a fit which saved none', async () => {
    const files = memoryFiles()
    await files.write('models/model.safetensors', 'something else')
    const { learner } = await scripted([NaN, 1, NaN], [saveModel({ monitor: 'score' })], { files })
    await learner.fit(1, 1e-2)
    // Nor is that of the fit before.
    await learner.fit(1, 1e-2)
    const best = await weightsOf(learner)
    await learner.fit(1, 1e-2)
    expect(await weightsOf(learner)).not.toEqual(best)
    expect(() => saveModel({ everyEpoch: 1, atEnd: true })).toThrow(
      'everyEpoch and atEnd contradict each other or are out of range',
    )
  })
})

describe('csvLogger', () => {
  test('writes every epoch as it ends, with all digits', async () => {
    const sizes: number[] = []
    const { learner, files } = await scripted(
      [0.1 + 0.2, NaN],
      [
        csvLogger('run/history.csv'),
        { name: 'look', order: 61, afterEpoch: () => void sizes.push(files.contents.get('run/history.csv')!.length) },
      ],
    )
    await learner.fit(2, 0)
    const lines = (await files.readText('run/history.csv')).split('\n')
    expect(lines[0]).toBe('epoch,train_loss,valid_loss,score,time')
    expect(lines[1]).toMatch(/^0,\d\.\d{7,},\d\.\d{7,},0\.30000000000000004,\d\d:\d\d$/)
    expect(lines[2]).toMatch(/^1,.*,NaN,/)
    expect(lines.slice(3)).toEqual([''])
    expect(sizes[1]).toBeGreaterThan(sizes[0])
  })

  test('misses no epoch where it could not be written after each', async () => {
    // The first write is that of the line of names.
    const { learner, files, lines } = await scripted([1, 2, 3], [csvLogger('h.csv')], { files: fullAt(1, 2) })
    await learner.fit(3, 0)
    expect((await files.readText('h.csv')).match(/^\d/gm)).toEqual(['0', '1', '2'])
    expect(lines.filter((line) => line.startsWith('no table of epochs was written'))).toHaveLength(2)
    await expect((await scripted([1], [csvLogger('h.csv')], { files: fullAt(0) })).learner.fit(1, 0)).rejects.toThrow(
      'h.csv: the disk is full',
    )
  })

  test('begins anew with every fit, or appends', async () => {
    for (const [append, length] of [
      [false, 3],
      [true, 6],
    ] as const) {
      const { learner, files } = await scripted([1, 2, 3, 4], [csvLogger('h.csv', { append })])
      await learner.fit(2, 0)
      await learner.fit(2, 0)
      const lines = (await files.readText('h.csv')).trim().split('\n')
      expect(lines).toHaveLength(length)
      expect(lines.at(-3)).toBe('epoch,train_loss,valid_loss,score,time')
    }
  })
})
