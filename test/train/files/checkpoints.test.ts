import { ImageBlock } from '../../../src/data/blocks.ts'
import { requireSameFit } from '../../../src/train/files/fit-description.ts'
import { describe, expect, test } from 'vitest'
import { augTransforms } from '../../../src/data/augment/transforms.ts'
import { resize } from '../../../src/data/item-transforms.ts'
import { Loaders } from '../../../src/data/loaders.ts'
import { readWeights, writeWeights } from '../../../src/nn/weights.ts'
import type { StateEntry } from '../../../src/nn/state-dict.ts'
import { adam } from '../../../src/optim/adam.ts'
import { ranger } from '../../../src/optim/lookahead.ts'
import { radam } from '../../../src/optim/radam.ts'
import { sgd } from '../../../src/optim/sgd.ts'
import { DataError, OptionError } from '../../../src/base/errors.ts'
import { parseJson, type Json } from '../../../src/base/json.ts'
import { upload } from '../../../src/tensor/read-write.ts'
import { Cancel, type Callback } from '../../../src/train/fit/callback.ts'
import { csvLogger } from '../../../src/train/callbacks/csv-logger.ts'
import { earlyStopping } from '../../../src/train/callbacks/early-stopping.ts'
import { gradientClip } from '../../../src/train/callbacks/gradient-clip.ts'
import { gradientAccumulation } from '../../../src/train/callbacks/gradient-accumulation.ts'
import { mixUp } from '../../../src/train/callbacks/mixup.ts'
import { reduceLrOnPlateau } from '../../../src/train/callbacks/reduce-lr-on-plateau.ts'
import { saveModel } from '../../../src/train/callbacks/save-model.ts'
import { Learner } from '../../../src/train/learner.ts'
import type { FitOptions, LearnerOptions } from '../../../src/train/learner-options.ts'
import { labelSmoothing } from '../../../src/train/fit/losses.ts'
import { accuracy } from '../../../src/train/fit/metrics.ts'
import type { EpochRow } from '../../../src/train/fit/history.ts'
import { changeInfo } from '../../helpers/change-info.ts'
import { fakePlatform } from '../../helpers/fake-platform.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { memoryFiles } from '../../helpers/memory-files.ts'
import { stripes, tinyLoaders, tinyModel, type TinyOptions } from '../../helpers/tiny.ts'

await openTestGpu()

const FILE = 'run/normalize.safetensors'
const ADVICE = 'Fix: put a copy of it back, or remove it: the fit then begins anew'

interface Setting {
  readonly files?: ReturnType<typeof memoryFiles>
  readonly learner?: () => LearnerOptions
  readonly data?: TinyOptions
  readonly mixed?: boolean
  readonly train: (learner: Learner, options: FitOptions) => Promise<void>
}

/** A learner of its own, as in a new process; what is interrupted is so in the middle of that epoch of all. */
async function run(
  { files = memoryFiles(), learner: options, data, mixed, train }: Setting,
  fit: FitOptions,
  interruptIn?: number,
) {
  const platform = fakePlatform({ picture: (path) => stripes(path, 16), files })
  const loaders = await tinyLoaders({ train: 20, platform, batchTransforms: augTransforms(), ...data })
  const stop: Callback = {
    name: 'stop',
    order: -100,
    runsOn: 'train',
    afterBatch: ({ epochsBegun, iteration }) => {
      if (epochsBegun - 1 === interruptIn && iteration === 2) platform.interrupt()
    },
  }
  const { callbacks = [], ...others } = options?.() ?? {}
  const learner = new Learner(loaders, tinyModel(), { metrics: [accuracy], ...others, callbacks: [...callbacks, stop] })
  if (mixed) learner.toFp16()
  await train(learner, fit)
  return { learner, files, lines: platform.lines }
}

/** Returns all results of training except times. */
async function outcome({ model, optimizer, recorder, epochsBegun }: Learner) {
  const timeless = (rows: readonly EpochRow[]) =>
    rows.map(({ epoch, trainLoss, validLoss, metrics }) => ({ epoch, trainLoss, validLoss, metrics }))
  const { rows, history, rawLosses, losses, lrs, momentums } = recorder
  const tensors = [...(await model.stateDict()), ...(await optimizer!.state())].map(([name, { data }]) => [
    name,
    [...new Uint32Array(data.slice().buffer)],
  ])
  return { rows: timeless(rows), history: timeless(history), rawLosses, losses, lrs, momentums, epochsBegun, tensors }
}

/** Checks that a fit interrupted in an epoch and resumed in another process gives the same results. */
async function expectSame(setting: Setting, interruptIn: number) {
  const whole = await run(setting, { checkpoint: FILE })
  const expected = await outcome(whole.learner)
  const { files, learner } = await run(setting, { checkpoint: FILE }, interruptIn)
  expect(learner.interrupted).toBe(true)
  const resumed = await run({ ...setting, files }, { checkpoint: FILE, resume: true })
  expect(await outcome(resumed.learner)).toEqual(expected)
  return { whole, resumed }
}

describe('an interrupted fit that is continued ends with the same numbers, to the last bit', () => {
  const oneCycle: Setting['train'] = (learner, fit) => learner.fitOneCycle(4, 1e-2, fit)

  test('one cycle, interrupted in its third epoch', async () => {
    const { resumed, whole } = await expectSame({ train: oneCycle }, 2)
    // The table is told again, and where it goes on.
    expect(resumed.lines.slice(0, 4)).toEqual([
      'epoch     train_loss  valid_loss  accuracy  time',
      expect.stringMatching(/^0 /),
      expect.stringMatching(/^1 /),
      'continued from run/normalize.safetensors, 2 of 4 epochs done',
    ])
    expect(resumed.lines.slice(4).map((line) => line[0])).toEqual(['2', '3'])
    expect(resumed.learner.trainIteration).toBe(whole.learner.trainIteration)
  })

  test('mixed precision, mixup, and an optimizer with slow weights', async () => {
    await expectSame(
      { train: oneCycle, mixed: true, learner: () => ({ optimizer: ranger(), callbacks: [mixUp()] }) },
      1,
    )
  })

  test('the loss scale, after a gradient that was too large', async () => {
    const scales: { readonly scale: number; readonly goodSteps: number }[] = []
    const learner = () => ({
      callbacks: [
        {
          name: 'overflow',
          order: 5,
          runsOn: 'train',
          afterBackward: ({ epochsBegun, iteration, model }) => {
            const [{ count, leaf }] = model.parameters()
            if (epochsBegun === 1 && iteration === 1) upload(leaf.gradient!, new Float32Array(count).fill(Infinity))
          },
          afterEpoch: async ({ scaler }) => void scales.push(await scaler!.state()),
        },
      ] satisfies Callback[],
    })
    await expectSame({ train: oneCycle, mixed: true, learner }, 2)
    // Four epochs of five steps, the second step a bad one; then two epochs, and after the interruption the other two.
    const whole = [3, 8, 13, 18].map((goodSteps) => ({ scale: 32768, goodSteps }))
    expect(scales).toEqual([...whole, ...whole])
  })

  test('gradients that add up over the end of an epoch', async () => {
    // Five batches of four an epoch, a step every three.
    await expectSame({ train: oneCycle, learner: () => ({ callbacks: [gradientAccumulation(12)] }) }, 2)
  })

  test('a constant learning rate that a callback reduces, and a file of figures', async () => {
    const learner = () => ({ callbacks: [reduceLrOnPlateau({ minDelta: 10 }), csvLogger('history.csv')] })
    const { whole, resumed } = await expectSame({ train: (each, fit) => each.fit(4, 1e-2, fit), learner }, 3)
    expect(resumed.learner.recorder.lrs.at(-1)).toBeCloseTo(1e-4, 10)
    const table = async ({ files }: typeof whole) => (await files.readText('history.csv')).replace(/\d\d:\d\d/g, 'time')
    expect(await table(resumed)).toBe(await table(whole))
  })

  test('the epochs that callbacks have waited for an improvement', async () => {
    const learner = () => ({
      callbacks: [reduceLrOnPlateau({ minDelta: 10, patience: 2 }), earlyStopping({ minDelta: 10, patience: 3 })],
    })
    const { resumed } = await expectSame({ train: (each, fit) => each.fit(5, 1e-2, fit), learner }, 2)
    expect(resumed.learner.recorder.rows).toHaveLength(4)
    expect(resumed.learner.recorder.lrs.at(-1)).toBeCloseTo(1e-3, 10)
  })

  test('the best model of before the interruption', async () => {
    // No epoch is better than the first one by as much.
    const learner = () => ({ callbacks: [saveModel({ minDelta: 10, file: 'best.safetensors' })] })
    await expectSame({ train: oneCycle, learner }, 2)
  })

  test.each([0, 1, 2, 4])('fineTune, interrupted in its epoch %i', async (interruptIn) => {
    const groups: LearnerOptions['groups'] = (model) => [model.parameters().slice(0, 6), model.parameters().slice(6)]
    await expectSame(
      { train: (learner, fit) => learner.fineTune(3, 1e-2, { freezeEpochs: 2, ...fit }), learner: () => ({ groups }) },
      interruptIn,
    )
  })

  test('one fit after another: those that are over are not made again', async () => {
    const heard: number[] = []
    const train: Setting['train'] = async (learner, { resume }) => {
      const options = (name: string) => ({
        checkpoint: name,
        resume,
        callbacks: [{ name: 'hear', order: 0, beforeTrain: () => void heard.push(learner.epochsBegun) }],
      })
      await learner.fitOneCycle(2, 1e-2, options('first'))
      if (!learner.interrupted) await learner.fitOneCycle(2, 1e-3, options('second'))
    }
    await expectSame({ train }, 3)
    expect(heard).toEqual([0, 1, 2, 3, 0, 1, 2, 3, 3])
  })

  test('an early end is an end', async () => {
    const learner = () => ({ callbacks: [earlyStopping({ minDelta: 10, patience: 2 })] })
    const setting = { train: oneCycle, learner }
    const { files, learner: ended } = await run(setting, { checkpoint: FILE })
    expect(ended.recorder.rows).toHaveLength(3)
    const again = await run({ ...setting, files }, { checkpoint: FILE, resume: true })
    expect(await outcome(again.learner)).toEqual(await outcome(ended))
    expect(again.lines.at(-1)).toBe(`continued from ${FILE}, 3 of 4 epochs done: it ended early`)
  })

  test('a fit that a callback cancels before it began leaves the checkpoint as it was', async () => {
    let isOverTime = false
    const budget: Callback = {
      name: 'budget',
      order: 0,
      beforeFit() {
        if (isOverTime) throw new Cancel('fit')
      },
    }
    const setting = { train: oneCycle, learner: () => ({ callbacks: [budget] }) }
    const whole = await run(setting, { checkpoint: FILE })
    const { files } = await run(setting, { checkpoint: FILE }, 1)
    isOverTime = true
    await run({ ...setting, files }, { checkpoint: FILE, resume: true })
    isOverTime = false
    const resumed = await run({ ...setting, files }, { checkpoint: FILE, resume: true })
    expect(await outcome(resumed.learner)).toEqual(await outcome(whole.learner))
  })

  test('without a file there is nothing to go on from, and without resume it begins anew', async () => {
    const fresh = await run({ train: oneCycle }, { checkpoint: FILE, resume: true })
    const anew = await run({ train: oneCycle, files: fresh.files }, { checkpoint: FILE })
    expect(anew.learner.recorder.rows).toHaveLength(4)
    expect(await outcome(anew.learner)).toEqual(await outcome(fresh.learner))
  })
})

test('a fit is not continued with other pixels', () => {
  const saved = { decoding: { ...ImageBlock().decoding }, seed: 1 }
  const now = { decoding: { ...ImageBlock({ decoder: 'sharp', orientation: 'ignore' }).decoding }, seed: 1 }
  expect(() => requireSameFit('a.checkpoint', saved, saved)).not.toThrow()
  expect(() => requireSameFit('a.checkpoint', saved, now)).toThrow(/decoding\.orientation +"apply" there, "ignore" now/)
  expect(() => requireSameFit('a.checkpoint', saved, now)).toThrow(/decoding\.decoder +"turbo" there, "sharp" now/)
})

describe('what is refused', () => {
  const setting: Setting = { train: (learner, fit) => learner.fitOneCycle(2, 1e-2, fit) }

  test('the checkpoint of another fit, with what is different', async () => {
    const { files } = await run(setting, { checkpoint: FILE })
    const resume = (other: Partial<Setting>) => run({ ...setting, files, ...other }, { checkpoint: FILE, resume: true })
    await expect(resume({ train: (learner, fit) => learner.fitOneCycle(3, 2e-2, fit) })).rejects
      .toThrowErrorMatchingInlineSnapshot(`
      [OptionError: run/normalize.safetensors: this is the checkpoint of another fit
        epochs  2 there, 3 now
        lr      0.01 there, 0.02 now
        Fix: resume with the options the fit was begun with, or start again without \`resume\` or with another file]
    `)
    for (const [other, name] of [
      [{ data: { seed: 2 } }, 'seed of the loaders'],
      [{ data: { batchSize: 5 } }, 'batchSize'],
      [{ data: { train: 24 } }, 'training items'],
      [{ data: { batchTransforms: [] } }, 'batchTransforms'],
      [{ mixed: true }, 'precision'],
      [{ learner: () => ({ callbacks: [mixUp()] }) }, 'callbacks'],
      [
        { train: (learner: Learner, fit: FitOptions) => learner.fitOneCycle(2, 1e-2, { ...fit, pctStart: 0.5 }) },
        'pctStart',
      ],
    ] as const) {
      await expect(resume(other)).rejects.toThrow(name)
    }
  })

  test.each<[string, () => LearnerOptions, [name: string, now: () => LearnerOptions][]]>([
    [
      'optimizers',
      () => ({ optimizer: adam() }),
      [
        ['optimizer.name  "adam" there, "radam" now', () => ({ optimizer: radam() })],
        ['optimizer.squareMomentum  0.99 there, 0.9 now', () => ({ optimizer: adam({ squareMomentum: 0.9 }) })],
        ['optimizer.epsilon', () => ({ optimizer: adam({ eps: 1e-6 }) })],
        ['optimizer.decayNormAndBias', () => ({ optimizer: adam({ decayNormAndBias: true }) })],
        [
          'parameters per group',
          () => ({ groups: (model) => [model.parameters().slice(0, 6), model.parameters().slice(6)] }),
        ],
        ['momentums', () => ({ momentums: [0.95, 0.9, 0.95] })],
      ],
    ],
    [
      'optimizers around another',
      () => ({ optimizer: ranger() }),
      [
        ['optimizer.k  6 there, 5 now', () => ({ optimizer: ranger({ k: 5 }) })],
        ['optimizer.around.beta  0 there, 50 now', () => ({ optimizer: ranger({ beta: 50 }) })],
      ],
    ],
    [
      'momentum',
      () => ({ optimizer: sgd({ momentum: 0.9 }) }),
      [
        ['optimizer.momentum  0.9 there, 0.8 now', () => ({ optimizer: sgd({ momentum: 0.8 }) })],
        ['optimizer.decoupleWeightDecay', () => ({ optimizer: sgd({ momentum: 0.9, decoupleWeightDecay: false }) })],
      ],
    ],
    [
      'losses',
      () => ({ loss: labelSmoothing(0.1) }),
      [['loss.smoothing  0.1 there, 0.2 now', () => ({ loss: labelSmoothing(0.2) })]],
    ],
    [
      'callbacks',
      () => ({ callbacks: [mixUp(0.4), gradientClip(1), gradientAccumulation(8)] }),
      [
        [
          'mixUp.alpha  0.4 there, 0.2 now',
          () => ({ callbacks: [mixUp(0.2), gradientClip(1), gradientAccumulation(8)] }),
        ],
        [
          'gradientClip.maxNorm  1 there, 2 now',
          () => ({ callbacks: [mixUp(0.4), gradientClip(2), gradientAccumulation(8)] }),
        ],
        [
          'gradientAccumulation.items  8 there, 12 now',
          () => ({ callbacks: [mixUp(0.4), gradientClip(1), gradientAccumulation(12)] }),
        ],
      ],
    ],
    [
      'what is watched',
      () => ({ callbacks: [earlyStopping({ patience: 5 })] }),
      [
        ['earlyStopping.patience  5 there, 4 now', () => ({ callbacks: [earlyStopping({ patience: 4 })] })],
        [
          'earlyStopping.monitor  "valid_loss" there, "accuracy" now',
          () => ({ callbacks: [earlyStopping({ patience: 5, monitor: 'accuracy' })] }),
        ],
      ],
    ],
  ])('the same kinds with other options: %s', async (_kind, learner, others) => {
    const { files } = await run({ ...setting, learner }, { checkpoint: FILE })
    for (const [name, now] of others) {
      // Names are padded to the longest.
      const resuming = run({ ...setting, files, learner: now }, { checkpoint: FILE, resume: true })
      await expect(
        resuming.catch((error: Error) => {
          throw new Error(error.message.replace(/ {2,}/g, '  '))
        }),
      ).rejects.toThrow(name)
    }
    // And what is the same goes on.
    await run({ ...setting, files, learner }, { checkpoint: FILE, resume: true })
  })

  test('another course of the learning rate, and other items', async () => {
    const { files } = await run(setting, { checkpoint: FILE })
    const flat = run(
      { ...setting, files, train: (learner, fit) => learner.fitFlatCos(2, 1e-2, fit) },
      { checkpoint: FILE, resume: true },
    )
    await expect(flat).rejects.toThrow('scheduler')
    const frozen = run(
      {
        ...setting,
        files,
        train: (learner, fit) => {
          learner.model.parameters()[0].leaf.trainable = false
          return learner.fitOneCycle(2, 1e-2, fit)
        },
      },
      { checkpoint: FILE, resume: true },
    )
    await expect(frozen).rejects.toThrow('trainable parameters per group  [8] there, [7] now')
    const data = { item: (i: number) => `set/${['slanted', 'across', 'upright'][i % 3]}/${i}.png` }
    await expect(run({ ...setting, files, data }, { checkpoint: FILE, resume: true })).rejects.toThrow('training data')
  })

  test('another validation than that of the checkpoint', async () => {
    const { files } = await run(setting, { checkpoint: FILE })
    const train: Setting['train'] = async (learner, fit) => {
      const { loaders } = learner
      const valid = loaders.valid.with({ itemTransforms: [resize(24)] })
      learner.loaders = new Loaders({ ...loaders, valid, platform: loaders.platform })
      await learner.fitOneCycle(2, 1e-2, fit)
    }
    await expect(run({ ...setting, files, train }, { checkpoint: FILE, resume: true })).rejects.toThrow(
      /validation\.itemTransforms +none there, .*"resize".* now/,
    )
    const own = memoryFiles()
    await run({ ...setting, files: own, train }, { checkpoint: FILE })
    const again = await run({ ...setting, files: own, train }, { checkpoint: FILE, resume: true })
    expect(again.learner.recorder.rows).toHaveLength(2)
  })

  test('a refused checkpoint changes nothing, whatever is wrong with it and whenever it is noticed', async () => {
    const callbacks = [earlyStopping({ patience: 5 })]
    const { files, learner } = await run({ ...setting, learner: () => ({ callbacks }) }, { checkpoint: FILE })
    const good = await files.read(FILE)
    await learner.fit(1)
    const before = {
      ...(await outcome(learner)),
      hyperparameters: learner.optimizer!.hyperparameters,
      tracked: callbacks[0].state!(),
    }
    const { metadata, weights } = readWeights(FILE, good)
    const damaged = async (change: (tensors: Map<string, StateEntry>) => void, changes: Record<string, Json> = {}) => {
      const tensors = new Map(weights)
      change(tensors)
      files.contents.set(FILE, writeWeights(tensors, { wgrad: metadata.wgrad }))
      await changeInfo(files, FILE, changes)
    }
    const one = { shape: [1], data: Float32Array.of(1) }
    for (const damage of [
      () => damaged((tensors) => tensors.delete('3.bias')),
      () => damaged((tensors) => tensors.delete('optimizer.3.bias.step')),
      () => damaged((tensors) => tensors.set('3.weight', one)),
      () => damaged((tensors) => tensors.set('gradient.3.bias', one)),
      () => damaged(() => {}, { hypers: [{ lr: -1, momentum: 0.9, weightDecay: 0 }] }),
      () => damaged(() => {}, { hypers: [] }),
      () => damaged(() => {}, { kernels: { key: 5 } }),
      () => damaged(() => {}, { states: [learner.recorder.state(), null] }),
    ]) {
      await damage()
      const resuming = learner.fitOneCycle(2, 1e-2, { checkpoint: FILE, resume: true })
      await expect(resuming).rejects.toThrow(new RegExp(`^${FILE}: [^]*${ADVICE}$`))
      const { hyperparameters } = learner.optimizer!
      expect({ ...(await outcome(learner)), tracked: callbacks[0].state!() }).toEqual({
        ...before,
        hyperparameters: undefined,
      })
      // The last one is noticed only when the callback is asked, in the fit.
      if (damage.toString().includes('states')) continue
      expect(hyperparameters).toEqual(before.hyperparameters)
    }
    // Of fineTune too, which begins with another optimizer state.
    const tuning = learner.fineTune(2, 1e-2, { checkpoint: FILE, resume: true })
    await expect(tuning).rejects.toThrow(new RegExp(`^${FILE}: `))
    expect((await outcome(learner)).tensors).toEqual(before.tensors)
  })

  test('files that are no checkpoints', async () => {
    const { files, learner } = await run(setting, { checkpoint: FILE })
    const before = await outcome(learner)
    await learner.save(FILE)
    await expect(learner.fitOneCycle(2, 1e-2, { checkpoint: FILE, resume: true })).rejects.toThrow(
      'this file is not a checkpoint that can be resumed',
    )
    files.contents.set(FILE, (await files.read(FILE)).slice(0, -1))
    await expect(learner.fitOneCycle(2, 1e-2, { checkpoint: FILE, resume: true })).rejects.toThrow(
      `${FILE}: a damaged safetensors file`,
    )
    await expect(learner.fineTune(2, 1e-2, { checkpoint: FILE, resume: true })).rejects.toThrow(ADVICE)
    expect((await outcome(learner)).tensors).toEqual(before.tensors)
  })

  test('damaged checkpoints are named once, with one advice', async () => {
    const named = 'run/\x07.safetensors'
    const { files, learner } = await run(setting, { checkpoint: named })
    const whole = await files.read(named)
    const refused = async (message: string) => {
      const error: Error = await learner.fitOneCycle(2, 1e-2, { checkpoint: named, resume: true }).catch((one) => one)
      expect(error).toBeInstanceOf(DataError)
      expect(error.message.split('\n')[0]).toBe(`run/\\x07.safetensors${message}`)
      expect(error.message.split('  Fix: ').slice(1)).toEqual([ADVICE.slice(5)])
    }
    files.contents.set(named, whole.slice(0, 4))
    // The length of the header, which names the adapter.
    const start = Array.from(whole.slice(0, 4), (byte) => byte.toString(16).padStart(2, '0')).join(' ')
    await refused(`: not a safetensors file (starts ${start})`)
    const { weights, metadata } = readWeights(named, whole)
    files.contents.set(named, writeWeights(weights, { format: metadata.format, wgrad: '[1' }))
    await refused(", metadata 'wgrad': a damaged file: not JSON, or not { … }")
    files.contents.set(named, writeWeights(new Map([...weights].slice(1)), { format: 'pt', wgrad: metadata.wgrad }))
    await refused(': loadStateDict: the names in the checkpoint differ from those of the model')
  })

  test.each<[string, Json | undefined]>([
    ['fit', undefined],
    ['epochsDone', 1.5],
    ['epochsDone', 3],
    ['epochsBegun', undefined],
    ['trainIteration', 'x'],
    ['hypers', [5]],
    ['scaler', { scale: NaN, goodSteps: 0 }],
    ['kernels', null],
    ['states', undefined],
    ['states', []],
  ])('damaged checkpoints: %s = %j', async (name, value) => {
    const { files } = await run(setting, { checkpoint: FILE })
    await changeInfo(files, FILE, { [name]: value })
    const resuming = run({ ...setting, files }, { checkpoint: FILE, resume: true })
    await expect(resuming).rejects.toThrow(DataError)
    await expect(resuming).rejects.toThrow(`${FILE}: a damaged file: its ${name} is invalid`)
    await expect(resuming).rejects.toThrow(ADVICE)
    files.contents.delete(FILE)
    expect((await run({ ...setting, files }, { checkpoint: FILE, resume: true })).learner.recorder.rows).toHaveLength(2)
  })

  test('damaged checkpoints: what a callback had written', async () => {
    const withStop = { ...setting, learner: () => ({ callbacks: [earlyStopping({ patience: 5 })] }) }
    const { files, learner } = await run(withStop, { checkpoint: FILE })
    const [recorder, stopping] = [learner.recorder.state() as Record<string, Json>, [1, 0]]
    for (const [states, name] of [
      [[null, stopping], 'recorder'],
      [[{ ...recorder, rows: [{ epoch: 0 }, { epoch: 1 }] }, stopping], 'recorder'],
      [[{ ...recorder, lrs: 5 }, stopping], 'recorder'],
      [[{ ...recorder, smooth: ['x', 2] }, stopping], 'recorder'],
      [[recorder, null], 'earlyStopping'],
    ] as const) {
      await changeInfo(files, FILE, { states })
      const resuming = run({ ...withStop, files }, { checkpoint: FILE, resume: true })
      await expect(resuming).rejects.toThrow(DataError)
      await expect(resuming).rejects.toThrow(`${FILE}: a damaged file: ${name} cannot be restored from its state`)
    }
  })

  test('leaves a file that epochs are appended to as it was', async () => {
    const files = memoryFiles()
    const callbacks = () => ({ callbacks: [csvLogger('all.csv', { append: true }), earlyStopping({ patience: 5 })] })
    await run({ ...setting, files, learner: callbacks }, { checkpoint: FILE })
    const before = await files.readText('all.csv')
    expect(before.split('\n').length).toBeGreaterThan(2)
    const { metadata } = readWeights(FILE, await files.read(FILE))
    const { states } = parseJson(metadata.wgrad) as { readonly states: readonly Json[] }
    // That of earlyStopping is a list.
    await changeInfo(files, FILE, { states: states.map((state) => (Array.isArray(state) ? null : state)) })
    const resuming = run({ ...setting, files, learner: callbacks }, { checkpoint: FILE, resume: true })
    await expect(resuming).rejects.toThrow('earlyStopping cannot be restored from its state')
    expect(await files.readText('all.csv')).toBe(before)
  })

  test('states that would not come back, before the first step', async () => {
    const withState = (state: unknown, more: Partial<Callback> = { restore: () => {} }) =>
      run(
        {
          ...setting,
          learner: () => ({ callbacks: [{ name: 'own', order: 5, state: () => state as Json, ...more }] }),
        },
        { checkpoint: FILE },
      )
    const late = () => Promise.reject(new Error('late')) as never
    await expect(withState(undefined, { state: late, restore: () => {} })).rejects.toThrow('its state  a promise')
    for (const state of [new Map([['a', 1]]), new Float32Array(2), [{ of: new Set() }]]) {
      await expect(withState(state)).rejects.toThrow('callback own: its state is not of the right kind')
    }
    await expect(withState(1n)).rejects.toThrowErrorMatchingInlineSnapshot(`
      [OptionError: callback own: its state is not of the right kind
        its state  1
        expected JSON: numbers, texts, true, false and null, lists and { … } of them
        Fix: return that from its \`state\`, without waiting: [...map], Array.from(numbers)]
    `)
    await expect(withState(1, {})).rejects.toThrowErrorMatchingInlineSnapshot(`
      [OptionError: callback own: it has a state for checkpoints, but no \`restore\` to get it back
        Fix: give it restore(saved) { … }, or leave state out]
    `)
    await withState({ list: [1, NaN, 'a', null, true], none: undefined })
  })

  test('to go on from nowhere', async () => {
    await expect(run(setting, { resume: true })).rejects.toThrow(OptionError)
  })
})

describe('a checkpoint that cannot be written', () => {
  const setting: Setting = { train: (learner, fit) => learner.fitOneCycle(2, 1e-2, fit) }
  /** Files whose writes fail from that one on. */
  const fullFrom = (first: number) => {
    const files = memoryFiles()
    let writes = 0
    const write = files.write.bind(files)
    const full = () => Promise.reject(new DataError(FILE, 'no space left on the device'))
    return Object.assign(files, {
      write: (...args: Parameters<typeof write>) => (writes++ < first ? write(...args) : full()),
    })
  }

  test('is noticed before the first epoch, or does not end the fit', async () => {
    await expect(run({ ...setting, files: fullFrom(0) }, { checkpoint: FILE })).rejects.toThrow(
      `${FILE}: no space left on the device`,
    )
    for (const first of [1, 2]) {
      const { learner, lines } = await run({ ...setting, files: fullFrom(first) }, { checkpoint: FILE })
      expect(learner.recorder.rows).toHaveLength(2)
      const said = lines.filter((line) => line.includes('no space'))
      expect(said).toEqual(
        Array<string>(3 - first).fill(
          `no checkpoint was written, and training goes on: ${FILE}: no space left on the device`,
        ),
      )
    }
  })

  test('leaves one that is there alone until there is another', async () => {
    const { files } = await run(setting, { checkpoint: FILE })
    const before = await files.read(FILE)
    await run({ ...setting, files }, { checkpoint: FILE }, 0)
    expect(await files.read(FILE)).toEqual(before)
  })
})

test('a checkpoint is also a saved model', async () => {
  const { files, learner } = await run({ train: (each, fit) => each.fitOneCycle(2, 1e-2, fit) }, { checkpoint: FILE })
  const platform = fakePlatform({ picture: (path) => stripes(path, 16), files })
  const other = new Learner(await tinyLoaders({ platform }), tinyModel({ seed: 4 }))
  await other.load(FILE)
  expect(await other.model.stateDict()).toEqual(await learner.model.stateDict())
  expect(await other.optimizer!.state()).toEqual(await learner.optimizer!.state())
})
