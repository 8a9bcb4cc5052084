import { describe, expect, test, vi } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import { imagenetStats, normalize } from '../../src/data/augment/normalize.ts'
import { augTransforms } from '../../src/data/augment/transforms.ts'
import type { EpochOptions } from '../../src/data/loader.ts'
import type { Parameter } from '../../src/nn/parameter.ts'
import { sigmoid } from '../../src/ops/activations.ts'
import { read } from '../../src/tensor/read-write.ts'
import {
  Cancel,
  Interrupted,
  LOOP_EVENTS,
  STEP_EVENTS,
  type Callback,
  type Level,
} from '../../src/train/fit/callback.ts'
import { Learner } from '../../src/train/learner.ts'
import { mixUp } from '../../src/train/callbacks/mixup.ts'
import { columnNames } from '../../src/train/fit/epoch-table.ts'
import { predictItems } from '../../src/train/fit/evaluate.ts'
import { crossEntropy, labelSmoothing, type Loss } from '../../src/train/fit/losses.ts'
import { accuracy, argmax } from '../../src/train/fit/metrics.ts'
import { combinePasses } from '../../src/train/results/tta.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { tinyLearner, tinyLoaders, tinyModel } from '../helpers/tiny.ts'

const gpu = await openTestGpu()

const each = [...LOOP_EVENTS, ...STEP_EVENTS] as const

/** Hears everything, and writes it down as fastai's names without their underscores; t and v say of which kind a batch was. */
function listener(heard: string[], others: Partial<Callback> = {}): Callback {
  const handlers = Object.fromEntries(
    each.map((event) => [
      event,
      (learner: Learner) => {
        const kind = (STEP_EVENTS as readonly string[]).includes(event) ? (learner.training ? ' t' : ' v') : ''
        heard.push(event + kind)
      },
    ]),
  )
  return { name: 'listener', order: 0, ...handlers, ...others }
}

const batchEvents = (kind: 't' | 'v') =>
  [
    'beforeBatch',
    'afterPrediction',
    'afterLoss',
    ...(kind === 't' ? ['beforeBackward', 'afterBackward', 'beforeStep', 'afterStep'] : []),
    'afterBatch',
  ].map((event) => `${event} ${kind}`)
const epochEvents = [
  'beforeEpoch',
  'beforeTrain',
  ...batchEvents('t'),
  ...batchEvents('t'),
  'afterTrain',
  'beforeValidate',
  ...batchEvents('v'),
  ...batchEvents('v'),
  'afterValidate',
  'afterEpoch',
]

describe('events', () => {
  test('come in the order of fastai', async () => {
    const heard: string[] = []
    const { learner } = await tinyLearner({ callbacks: [listener(heard)] })
    await learner.fit(2)
    expect(heard).toEqual(['beforeFit', ...epochEvents, ...epochEvents, 'afterFit'])
  })

  test('reach callbacks by their order, those of one order as given, and batches only those that want them', async () => {
    const heard: string[] = []
    const says = (name: string, order: number, runsOn?: Callback['runsOn']): Callback => ({
      name,
      order,
      ...(runsOn ? { runsOn } : {}),
      beforeBatch: ({ training }) => void heard.push(`${name} ${training ? 't' : 'v'}`),
      afterEpoch: () => void heard.push(name),
    })
    const { learner } = await tinyLearner(
      { callbacks: [says('late', 70), says('b', 5, 'train'), says('a', 5, 'valid')] },
      { train: 4, valid: 4 },
    )
    await learner.fit(1, 1e-3, { callbacks: [says('first', -20, 'both')] })
    expect(heard).toEqual(['first t', 'b t', 'late t', 'first v', 'a v', 'late v', 'first', 'b', 'a', 'late'])
    heard.length = 0
    await learner.fit(1)
    expect(heard).not.toContain('first')
  })

  test('one that waits is waited for', async () => {
    const heard: string[] = []
    const { learner } = await tinyLearner({
      callbacks: [
        {
          name: 'slow',
          order: 0,
          beforeEpoch: async () => {
            await new Promise((resolve) => setTimeout(resolve, 5))
            heard.push('slow')
          },
          beforeTrain: () => void heard.push('train'),
        },
      ],
    })
    await learner.fit(1)
    expect(heard).toEqual(['slow', 'train'])
  })

  test('tell how far training is: 0 at the first batch, 1 only after the last', async () => {
    const positions: number[] = []
    const { learner } = await tinyLearner({
      callbacks: [
        { name: 'p', order: 60, runsOn: 'train', beforeBatch: ({ progress }) => void positions.push(progress) },
      ],
    })
    await learner.fit(2)
    expect(positions).toEqual([0, 0.25, 0.5, 0.75])
    expect([learner.progress, learner.trainIteration]).toEqual([1, 4])
  })

  test('tell how many batches of a pass are finished, a last one of few items among them', async () => {
    const counts: number[][] = []
    const count: Callback['afterTrain'] = ({ completed, batchCount }) => void counts.push([completed, batchCount])
    const { learner } = await tinyLearner(
      { callbacks: [{ name: 'count', order: 60, afterTrain: count, afterValidate: count }] },
      { train: 12, valid: 6, batchSize: 4 },
    )
    await learner.fit(2)
    expect(counts).toEqual([
      [3, 3],
      [2, 2],
      [3, 3],
      [2, 2],
    ])
  })

  test('losses become known for every step, in order', async () => {
    const known: number[] = []
    const { learner } = await tinyLearner(
      { callbacks: [{ name: 'k', order: 0, lossKnown: (_, { iteration }) => void known.push(iteration) }] },
      { train: 40 },
    )
    await learner.fit(2)
    expect(known).toEqual(Array.from({ length: 20 }, (_, i) => i))
    expect(learner.recorder.rawLosses.length).toBe(20)
    expect(learner.recorder.rawLosses.every(Number.isFinite)).toBe(true)
  })
})

describe('callbacks', () => {
  test('that are none are refused', async () => {
    await expect(tinyLearner({ callbacks: [mixUp as unknown as Callback] })).rejects
      .toThrowErrorMatchingInlineSnapshot(`
      [OptionError: callbacks: an item is not of the right kind
        an item  the function mixUp
        expected a callback, such as mixUp(), with a name and an order
        Fix: call it: mixUp()]
    `)
    const handlers = { afterEpoch: () => {} }
    for (const other of [false, undefined, handlers, { ...handlers, name: 'a' }, { name: 'a', order: NaN }]) {
      await expect(tinyLearner({ callbacks: [other as unknown as Callback] })).rejects.toThrow(OptionError)
    }
  })

  test('for no kind of batch are refused: they would never run', async () => {
    const { learner } = await tinyLearner()
    const callback = { name: 'clip', order: 0, runsOn: 'training' as 'train', afterBatch: () => {} }
    await expect(learner.fit(1, 1e-3, { callbacks: [callback] })).rejects.toThrowErrorMatchingInlineSnapshot(`
      [OptionError: callback clip: runsOn is not of the right kind
        runsOn  'training'
        expected 'train', 'valid' or 'both']
    `)
  })

  test.each(['afterBatch', 'prepareBatch', 'lossKnown', 'preparing'] as const)(
    'whose %s waits are refused, their own failure is not in the way',
    async (event) => {
      const { learner } = await tinyLearner()
      const late = async () => Promise.reject(new Error('lost'))
      await expect(learner.fit(1, 1e-3, { callbacks: [{ name: 'waits', order: 0, [event]: late }] })).rejects.toThrow(
        `callback waits: ${event} is async, but nothing waits for it\n` +
          '  Fix: move that to an event between steps, such as afterEpoch',
      )
      await learner.fit(1)
    },
  )
})

describe('cancelling', () => {
  async function eventsWhenCancelled(level: Level, at: keyof Callback, epochs = 1): Promise<string[]> {
    const heard: string[] = []
    let done = false
    const cancel = () => {
      if (done) return
      done = true
      throw new Cancel(level)
    }
    const { learner } = await tinyLearner({
      callbacks: [listener(heard), { name: 'cancel', order: 1, runsOn: 'train', [at]: cancel }],
    })
    await learner.fit(epochs)
    return heard
  }

  test('a step: no step of the optimizer, the rest goes on', async () => {
    const heard = await eventsWhenCancelled('step', 'beforeStep')
    expect(heard.slice(3, 12)).toEqual([
      'beforeBatch t',
      'afterPrediction t',
      'afterLoss t',
      'beforeBackward t',
      'afterBackward t',
      'beforeStep t',
      'afterCancelStep t',
      'afterStep t',
      'afterBatch t',
    ])
  })

  test('backward', async () => {
    expect((await eventsWhenCancelled('backward', 'beforeBackward')).slice(6, 10)).toEqual([
      'beforeBackward t',
      'afterCancelBackward t',
      'afterBackward t',
      'beforeStep t',
    ])
  })

  test('a batch', async () => {
    const heard = await eventsWhenCancelled('batch', 'afterLoss')
    expect(heard.slice(3, 9)).toEqual([
      'beforeBatch t',
      'afterPrediction t',
      'afterLoss t',
      'afterCancelBatch t',
      'afterBatch t',
      'beforeBatch t',
    ])
  })

  test('a batch before its loss: it has no learning rate in the records either', async () => {
    const cancel: Callback = {
      name: 'cancel',
      order: 1,
      runsOn: 'train',
      beforeBatch: ({ trainIteration }) => {
        if (trainIteration === 0) throw new Cancel('batch')
      },
    }
    const { learner } = await tinyLearner({ callbacks: [cancel] })
    await learner.fit(1)
    const { rawLosses, lrs, momentums } = learner.recorder
    expect([rawLosses, lrs, momentums].map(({ length }) => length)).toEqual([1, 1, 1])
  })

  test('the training of an epoch', async () => {
    const heard = await eventsWhenCancelled('train', 'afterBatch')
    expect(heard.slice(10, 14)).toEqual(['afterBatch t', 'afterCancelTrain', 'afterTrain', 'beforeValidate'])
  })

  test('an epoch', async () => {
    const heard = await eventsWhenCancelled('epoch', 'afterBatch', 2)
    expect(heard.slice(10)).toEqual(['afterBatch t', 'afterCancelEpoch', 'afterEpoch', ...epochEvents, 'afterFit'])
  })

  test('the fit', async () => {
    const heard = await eventsWhenCancelled('fit', 'afterBatch', 2)
    expect(heard.slice(10)).toEqual(['afterBatch t', 'afterCancelFit', 'afterFit'])
  })

  test.each([
    ['batch', true],
    ['step', false],
  ] as const)('a %s after its backward: its gradients add to those of the next: %s', async (level, adds) => {
    const gradients = async (cancelFirst: boolean) => {
      const { learner } = await tinyLearner(
        {
          callbacks: [
            {
              name: 'cancel',
              order: 1,
              beforeStep: (now) => {
                if (cancelFirst && now.trainIteration === 0) throw new Cancel(level)
              },
            },
          ],
        },
        { train: 8, batchSize: 4 },
      )
      await learner.fit(1, 0, { weightDecay: 0 })
      const parameter = learner.model.parameters().at(-1) as Parameter
      return [...(await read(parameter.leaf.gradient!))]
    }
    // With a learning rate of 0 the weights stand still, so the gradients of the second batch are the same in both.
    const [first, second] = [await gradients(true), await gradients(false)]
    expect(Math.max(...first.map((value, i) => Math.abs(value - second[i]))) > 1e-3).toBe(adds)
  })

  test('an error is not swallowed, and the callbacks of that fit are gone', async () => {
    const { learner } = await tinyLearner()
    const before = learner.callbacks
    await expect(
      learner.fit(1, 1e-3, {
        callbacks: [
          {
            name: 'x',
            order: 0,
            beforeTrain: () => {
              throw new Error('mine')
            },
          },
        ],
      }),
    ).rejects.toThrow('mine')
    expect(learner.callbacks).toBe(before)
    await learner.fit(1)
  })
})

describe('interrupting', () => {
  test('ends within a step, keeps the epochs before, and says so', async () => {
    const { learner, loaders, lines } = await tinyLearner(
      {
        callbacks: [
          {
            name: 'ctrl-c',
            order: 0,
            afterBatch: (now, { training }) => {
              if (training && now.epoch === 1 && now.iteration === 0) loaders.platform.interrupt()
            },
          },
        ],
      },
      { train: 40 },
    )
    await learner.fitOneCycle(5, 1e-3)
    expect(learner.interrupted).toBe(true)
    expect(learner.recorder.rows.map(({ epoch }) => epoch)).toEqual([0])
    expect(learner.trainIteration).toBe(11)
    expect(lines.at(-1)).toBe('interrupted in epoch 1: 1 of 5 epochs are done and kept')
    // What comes after it begins anew.
    await learner.validate()
    expect(learner.interrupted).toBe(false)
  })

  test.each<[string, (learner: Learner) => Promise<unknown>]>([
    ['validate', (learner) => learner.validate()],
    ['getPredictions', (learner) => learner.getPredictions()],
    ['tta', (learner) => learner.tta()],
    ['tta with a pair', (learner) => learner.tta({ beta: null })],
    ['lrFind', (learner) => learner.lrFind()],
  ])('what was to have a result rejects: %s', async (_name, work) => {
    const { learner } = await tinyLearner({
      callbacks: [{ name: 'stop', order: 0, beforeBatch: (now) => now.interrupt() }],
    })
    const working = work(learner)
    await expect(working).rejects.toThrow(Interrupted)
    await expect(working).rejects.toThrow('interrupted before there was a result')
    expect(learner.interrupted).toBe(true)
  })

  test('a search that is interrupted late suggests nothing, and puts everything back', async () => {
    const { learner } = await tinyLearner({
      callbacks: [
        {
          name: 'stop',
          order: 0,
          beforeBatch: (now) => void (now.trainIteration === 60 && now.interrupt()),
        },
      ],
    })
    const before = await learner.model.stateDict()
    await expect(learner.lrFind({ stopWhenDiverged: false })).rejects.toThrow(Interrupted)
    expect(learner.trainIteration).toBeGreaterThan(60)
    expect(await learner.model.stateDict()).toEqual(before)
  })

  test('fineTune does not begin its second part', async () => {
    const { learner } = await tinyLearner({
      callbacks: [{ name: 'stop', order: 0, beforeTrain: (now) => now.interrupt() }],
    })
    await learner.fineTune(3)
    expect(learner.recorder.history).toEqual([])
    expect(learner.epochs).toBe(1)
  })
})

describe('measuring', () => {
  test('metrics without a name of their own are refused', async () => {
    await expect(tinyLearner({ metrics: [accuracy, accuracy] })).rejects.toThrow(
      'metrics: every metric must have a distinct name',
    )
    await expect(tinyLearner({ metrics: [() => 1] })).rejects.toThrow('metrics: every metric must have a distinct name')
  })

  test.each(['epoch', 'train_loss', 'valid_loss', 'skipped', 'scale', 'time'])(
    'a metric called as the column %s is refused',
    async (name) => {
      const { learner } = await tinyLearner()
      expect(columnNames(learner.toFp16())).toContain(name)
      await expect(tinyLearner({ metrics: [accuracy, { [name]: () => 1 }] })).rejects.toThrow(
        /metrics: every metric must have a distinct name\n {2}names .*\n {2}expected other names than epoch, train_loss/,
      )
    },
  )

  test('the padded last batch counts only its items', async () => {
    // One batch of 6, or two of which the second is half padding.
    const whole = await tinyLearner({}, { batchSize: 6, valid: 6 })
    const padded = await tinyLearner({}, { batchSize: 4, valid: 6 })
    const [a, b] = [await whole.learner.validate(), await padded.learner.validate()]
    expect(b.loss).toBeCloseTo(a.loss, 5)
    expect(b.metrics).toEqual(a.metrics)
  })

  test('predictions are probabilities in the order of the items, and agree with validate', async () => {
    const { learner, loaders } = await tinyLearner({ loss: labelSmoothing() })
    const { predictions, targets, losses, items } = await learner.getPredictions()
    expect([predictions.rows, predictions.columns]).toEqual([6, 3])
    expect([...items]).toEqual([...loaders.valid.items])
    expect([...targets]).toEqual(Array.from(loaders.valid.items, (item) => loaders.valid.labels[item]))
    for (let row = 0; row < 6; row++) {
      const sum = predictions.data.slice(row * 3, row * 3 + 3).reduce((a, b) => a + b, 0)
      expect(sum).toBeCloseTo(1, 5)
    }
    const { loss, metrics } = await learner.validate()
    expect(loss).toBeCloseTo(losses.reduce((a, b) => a + b, 0) / 6, 6)
    expect(metrics['accuracy']).toBe(accuracy(predictions, targets))
    expect(argmax(predictions).length).toBe(6)
  })

  test.each(['softmax', 'sigmoid'] as const)(
    'are those of one image, by the %s of a loss of your own',
    async (activation) => {
      const { name, mean, each } = crossEntropy()
      const { learner, loaders } = await tinyLearner({ loss: { name, mean, each, activation } })
      const { predictions, items } = await learner.getPredictions()
      const { probabilities } = await learner.predict(loaders.valid.pictures.items[items[0]])
      probabilities.forEach((value, i) => expect(value).toBeCloseTo(predictions.data[i], 5))
      expect((await learner.tta()).predictions.data[0]).toBeCloseTo(predictions.data[0], 5)
    },
  )

  test('a function for predictions, which no exported model would have, is refused', async () => {
    const { learner } = await tinyLearner({ loss: { ...crossEntropy(), probabilities: sigmoid } as Loss })
    await expect(learner.getPredictions()).rejects.toThrow('predictions are made by its `activation`')
    expect(() => learner.predictor()).toThrow('in place of `probabilities`')
  })

  test('the items of training are measured like those of validation: each once, in order, nothing random', async () => {
    const data = { train: 10, batchSize: 4, batchTransforms: augTransforms() }
    const {
      learner,
      loaders: { train },
    } = await tinyLearner({}, data)
    const { predictions, targets, losses, items } = await learner.getPredictions({ loader: train })
    expect([...items]).toEqual([...train.items])
    const { loss, metrics } = await learner.validate(train)
    expect(loss).toBeCloseTo(losses.reduce((a, b) => a + b, 0) / 10, 6)
    expect(metrics['accuracy']).toBe(accuracy(predictions, targets))
    // As if there were no random transforms.
    const plain = await tinyLearner({}, { ...data, batchTransforms: [] })
    expect((await plain.learner.validate(plain.loaders.train)).loss).toBeCloseTo(loss, 5)
    // And they do change something, where they are asked for.
    const batches = vi.spyOn(train, 'batches')
    const { predictions: averaged } = await learner.tta({ n: 1, beta: 0, loader: train })
    expect(batches.mock.calls.map(([pass]) => pass?.draws)).toEqual(['train', 'valid'])
    expect(averaged.data).not.toEqual(predictions.data)
  })

  test('is not training, where a fit waits for it, which then goes on training', async () => {
    const seen: boolean[][] = []
    const look: Callback = {
      name: 'look',
      order: 0,
      beforeTrain: async (state) => void (await state.getPredictions()),
      beforeBatch: (state, step) => void seen.push([step.training, state.training]),
    }
    const { learner } = await tinyLearner({ callbacks: [look] }, { train: 4, valid: 4 })
    await learner.fit(1)
    expect(seen).toEqual([
      [false, false],
      [true, true],
      [false, false],
    ])
  })

  test('changes nothing: not the statistics, not the weights', async () => {
    const { learner } = await tinyLearner()
    await learner.fit(1)
    const state = async () => [...(await learner.model.stateDict()).values()].map(({ data }) => [...data])
    const before = await state()
    await learner.validate()
    await learner.tta()
    expect(await state()).toEqual(before)
  })

  test('without random transforms test-time augmentation is the plain prediction', async () => {
    const { learner } = await tinyLearner(
      {},
      { batchTransforms: [normalize({ mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] })] },
    )
    const plain = await learner.getPredictions()
    const { predictions, targets } = await learner.tta({ n: 2 })
    expect(targets).toEqual(plain.targets)
    predictions.data.forEach((value, i) => expect(value).toBeCloseTo(plain.predictions.data[i], 5))
  })

  test('is four passes with random transforms, averaged, and a quarter of one without', async () => {
    const {
      learner,
      loaders: { valid },
    } = await tinyLearner({}, { batchTransforms: augTransforms() })
    await learner.fit(1, 1e-2)
    const batches = vi.spyOn(valid, 'batches')
    const { predictions, targets } = await learner.tta()
    const passes = batches.mock.calls.map(([{ draws, pass } = {}]) => ({ draws, pass }))
    expect(passes).toEqual([
      ...[1, 2, 3, 4].map((pass) => ({ draws: 'train', pass })),
      { draws: 'valid', pass: undefined },
    ])
    batches.mockRestore()

    const predict = (pass: EpochOptions) => predictItems(learner, valid, pass, learner.loss)
    const drawn: Float32Array[] = []
    for (const pass of [1, 2, 3, 4]) drawn.push((await predict({ draws: 'train', pass })).predictions.data)
    expect(new Set(drawn.map((data) => data.join())).size).toBe(4)
    const plain = await learner.getPredictions()
    expect(predictions).toEqual({ ...plain.predictions, data: combinePasses(drawn, plain.predictions.data, 0.25) })
    expect(targets).toEqual(plain.targets)
    expect((await learner.tta({ useMax: true })).predictions.data).toEqual(
      combinePasses(drawn, plain.predictions.data, 'max'),
    )
    const {
      predictions: [augmented, alone],
      targets: sameTargets,
    } = await learner.tta({ beta: null })
    expect([augmented.data, alone, sameTargets]).toEqual([
      combinePasses(drawn, plain.predictions.data, 0),
      plain.predictions,
      targets,
    ])
    await expect(learner.tta({ beta: 1.5 })).rejects.toThrow('beta is out of range')
    expect((await learner.tta({ n: 2, beta: 0.5 })).predictions.data).toEqual(
      combinePasses(drawn.slice(0, 2), plain.predictions.data, 0.5),
    )
  })

  test('with them it is another one, the same each time', async () => {
    const { learner } = await tinyLearner({}, { batchTransforms: augTransforms() })
    const once = await learner.tta()
    expect(once.predictions.data).toEqual((await learner.tta()).predictions.data)
    expect(once.predictions.data).not.toEqual((await learner.getPredictions()).predictions.data)
    expect(
      (await learner.tta({ useMax: true })).predictions.data.every(
        (value, i) => value >= once.predictions.data[i] - 1e-6,
      ),
    ).toBe(true)
    await expect(learner.tta({ n: 0 })).rejects.toThrow('n is out of range')
  })
})

describe('other data', () => {
  const half = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const
  const two = (i: number) => `set/${['across', 'upright'][i % 2]}/${i}.png`
  const warnings = (lines: readonly string[]) => lines.filter((line) => line.startsWith('warning'))

  test('are told where a loader normalizes images or numbers classes otherwise', async () => {
    const { learner, loaders, lines } = await tinyLearner({}, { batchTransforms: [normalize(imagenetStats)] })
    const { platform } = loaders
    const other = await tinyLoaders({ platform, item: two, batchTransforms: [normalize(half)] })
    await learner.tta({ loader: other.valid })
    expect(warnings(lines)).toEqual([
      "warning: images are normalized with mean 0.5 0.5 0.5, std 0.5 0.5 0.5 here, and with mean 0.485 0.456 0.406, std 0.229 0.224 0.225 in the learner's loaders: learner.loaders.test(…) gives one alike",
      "warning: class 1 is 'upright' here, and 'slanted' in the learner's loaders: learner.loaders.test(…) gives one alike",
    ])
    lines.length = 0
    // Statistics that are measured differ a little, and images without labels have no classes.
    const measured = await tinyLoaders({ platform, batchTransforms: [normalize({ ...imagenetStats, std: half.std })] })
    learner.loaders = await tinyLoaders({
      platform,
      batchTransforms: [normalize({ ...imagenetStats, std: [0.45, 0.5, 0.55] })],
    })
    await learner.validate(measured.valid)
    await learner.getPredictions({ loader: learner.loaders.test(['set/across/0.png']) })
    // Nor do classes at the end that are missing change anything.
    const item = (i: number) => `set/${['across', 'slanted'][i % 2]}/${i}.png`
    await learner.validate((await tinyLoaders({ platform, item })).valid)
    expect(lines).toEqual([])
  })

  test('are told of by the next fit, once', async () => {
    const { learner, loaders, lines } = await tinyLearner({}, { batchTransforms: [normalize(half)] })
    const { platform } = loaders
    await learner.fit(1)
    learner.loaders = await tinyLoaders({ platform, size: 24, batchTransforms: [normalize(half)] })
    await learner.fit(1)
    expect(warnings(lines)).toEqual([])
    learner.loaders = await tinyLoaders({ platform, item: two })
    await learner.fit(1)
    const said = warnings(lines)
    expect(said).toEqual([
      'warning: images are normalized with mean 0 0 0, std 1 1 1 here, and with mean 0.5 0.5 0.5, std 0.5 0.5 0.5 in the loaders before: give both the same normalize(…), and the same vocab to their blocks',
      "warning: class 1 is 'upright' here, and 'slanted' in the loaders before: give both the same normalize(…), and the same vocab to their blocks",
    ])
    await learner.fit(1)
    expect(warnings(lines)).toEqual(said)
  })

  test('are told of where images to measure on were trained on before', async () => {
    const { learner, loaders, lines } = await tinyLearner()
    const { platform } = loaders
    const split = (train: number) => tinyLoaders({ platform, train, valid: 14 - train })
    // Nothing was trained on yet.
    learner.loaders = await split(4)
    await learner.fit(1)
    learner.loaders = await split(8)
    await learner.fit(1)
    expect(warnings(lines)).toEqual([])
    learner.loaders = await split(5)
    await learner.fit(1)
    expect(warnings(lines)).toEqual([
      'warning: the model was trained on 3 of the 9 images to measure on: give all loaders of a learner the same seed, or the same splitter',
    ])
  })
})

describe('telling', () => {
  test('showTrainingLoop names who listens', async () => {
    const { learner, lines } = await tinyLearner({
      callbacks: [{ name: 'mine', order: 0, runsOn: 'valid', afterLoss: () => {} }],
    })
    const text = learner.showTrainingLoop()
    expect(lines.join('\n')).toBe(text)
    expect(text).toMatchInlineSnapshot(`
      "fit
        - beforeFit: trainEval, recorder, progress
        epoch
          - beforeEpoch: recorder
          train
            - beforeTrain: trainEval, progress
            batch
              - prepareBatch: trainEval
              - beforeBatch: ·
              - afterPrediction: ·
              - afterLoss: ·
              - beforeBackward: ·
              - afterCancelBackward: ·
              - afterBackward: ·
              - beforeStep: ·
              - afterCancelStep: ·
              - afterStep: ·
              - afterCancelBatch: ·
              - afterBatch: trainEval, recorder, progress
            - afterCancelTrain: ·
            - afterTrain: recorder, progress
          validate
            - beforeValidate: trainEval, progress
            batch
              - prepareBatch: ·
              - beforeBatch: ·
              - afterPrediction: ·
              - afterLoss: mine
              - afterCancelBatch: ·
              - afterBatch: progress
            - afterCancelValidate: ·
            - afterValidate: ·
          - afterCancelEpoch: ·
          - afterEpoch: recorder, progress
        - afterCancelFit: progress
        - afterFit: ·"
    `)
  })

  test('summary names layers, sizes and what trains them', async () => {
    const { learner } = await tinyLearner()
    expect(await learner.summary()).toMatchInlineSnapshot(`
      "input [4,16,16,3], f32
      path   layer            output      parameters  MFLOP
      0.0    conv 3×3 / 2     [4,8,8,8]          216    0.1
      0.1    batch norm       [4,8,8,8]           16
      1.0    conv 3×3 / 2     [4,4,4,16]       1,152    0.1
      1.1    batch norm       [4,4,4,16]          32
      2      global avg pool  [4,16]
      3      linear           [4,3]               51    0.0
      total                                    1,467    0.3
      1467 of 1467 parameters are trainable
      loss: crossEntropy
      callbacks: trainEval, recorder, progress"
    `)
  })
})

test('memory does not grow from step to step', async () => {
  // A search for kernels gives back what it took, and more.
  vi.stubEnv('TUNE', '0')
  const { learner } = await tinyLearner({}, { train: 40 })
  // In the second epoch, what is sent besides the images that stay in GPU memory gets a place.
  await learner.fit(2)
  const { allocatedBytes, usedBytes } = gpu.buffers
  await learner.fit(20)
  expect(learner.trainIteration).toBe(200)
  expect(gpu.buffers.allocatedBytes).toBe(allocatedBytes)
  // Less where the tests before have left something that is collected meanwhile.
  expect(gpu.buffers.usedBytes).toBeLessThanOrEqual(usedBytes)
  vi.unstubAllEnvs()
})

test('a batch too large for the adapter is refused before the first step, with one that fits', async () => {
  const loaders = await tinyLoaders({ train: 8, batchSize: 8, size: 16 })
  const learner = new Learner(loaders, tinyModel())
  const { buffers } = gpu
  // As an adapter that binds 8 KiB at most: the pictures themselves are the largest tensor, 4 KiB each.
  const limit = vi.spyOn(buffers, 'limitBytes', 'get').mockReturnValue(8192)
  try {
    await expect(learner.fit(1)).rejects.toThrow(
      /\[8,16,16,3\] f32, 32\.0 KiB[^]*use a batch of 2 or fewer, smaller images, or mixed precision/,
    )
  } finally {
    limit.mockRestore()
  }
})
