import { describe, expect, test } from 'vitest'
import { OptionError } from '../../../src/base/errors.ts'
import { augTransforms } from '../../../src/data/augment/transforms.ts'
import { batchStats } from '../../../src/data/statistics.ts'
import { BatchNorm } from '../../../src/nn/batch-norm.ts'
import type { Callback } from '../../../src/train/fit/callback.ts'
import { Interrupted } from '../../../src/train/fit/callback.ts'
import { Learner } from '../../../src/train/learner.ts'
import { showResults } from '../../../src/train/results/show-results.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { tinyLearner } from '../../helpers/tiny.ts'

await openTestGpu()

/** Calls that use or change the model of a fit. */
const CALLS: readonly (readonly [name: string, call: (learner: Learner) => unknown])[] = [
  ['validate', (learner) => learner.validate()],
  ['getPredictions', (learner) => learner.getPredictions()],
  ['tta', (learner) => learner.tta()],
  ['showResults', (learner) => showResults(learner, 'results.png')],
  ['save', (learner) => learner.save('a.safetensors')],
  ['load', (learner) => learner.load('a.safetensors')],
  ['export', (learner) => learner.export('a.safetensors')],
  ['exportOnnx', (learner) => learner.exportOnnx('a.onnx')],
  ['toFp16', (learner) => learner.toFp16()],
  ['toFp32', (learner) => learner.toFp32()],
  ['freezeTo', (learner) => learner.freezeTo(1)],
  ['fit', (learner) => learner.fit(1)],
  ['fitOneCycle', (learner) => learner.fitOneCycle(1, 1, { resetOptimizer: true })],
  ['fitFlatCos', (learner) => learner.fitFlatCos(1, 1, { resetOptimizer: true })],
  ['fitSgdr', (learner) => learner.fitSgdr(1, 1, { resetOptimizer: true })],
  ['fineTune', (learner) => learner.fineTune(1)],
  ['lrFind', (learner) => learner.lrFind()],
]

const DATA = { train: 16, batchSize: 4 }

/** Losses and rows of a fit of two epochs. */
async function fitted(callbacks: readonly Callback[], prepare: (learner: Learner) => unknown = () => {}) {
  const { learner } = await tinyLearner({ callbacks }, DATA)
  const prepared = prepare(learner)
  await learner.fit(2, 1e-2)
  await prepared
  const {
    recorder: { rawLosses, rows },
    interrupted,
  } = learner
  return { learner, rawLosses, valid: rows.map(({ validLoss }) => validLoss), interrupted }
}

describe('in the middle of a fit', () => {
  test.each(CALLS)('%s is refused, and changes nothing', async (_name, call) => {
    const plain = await fitted([])
    const answers: Promise<unknown>[] = []
    const aside: Callback = {
      name: 'aside',
      order: 99,
      runsOn: 'train',
      afterBatch(state) {
        if (state.trainIteration !== 2) return
        // Synchronous calls throw, the others reject.
        answers.push(
          Promise.resolve()
            .then(() => call(state as Learner))
            .catch((error: unknown) => error),
        )
      },
    }
    const disturbed = await fitted([aside])
    const [answer] = await Promise.all(answers)
    expect(answer).toBeInstanceOf(OptionError)
    expect(String(answer)).toContain('a fit with this model is going on')
    expect([disturbed.rawLosses, disturbed.valid]).toEqual([plain.rawLosses, plain.valid])
  })
})

describe('beside a fit', () => {
  test('another learner of the model is refused as well, and may measure where the fit waits', async () => {
    const plain = await fitted([])
    const answers: Promise<unknown>[] = []
    const losses: number[] = []
    const aside: Callback = {
      name: 'aside',
      order: 99,
      runsOn: 'train',
      afterBatch({ loaders, model, trainIteration }) {
        if (trainIteration !== 2) return
        const other = new Learner(loaders, model)
        for (const call of [() => other.validate(), () => other.fit(1)]) {
          answers.push(call().catch((error: unknown) => error))
        }
      },
      async beforeTrain({ loaders, model }) {
        losses.push((await new Learner(loaders, model).validate()).loss)
      },
    }
    const disturbed = await fitted([aside])
    for (const answer of await Promise.all(answers)) expect(answer).toBeInstanceOf(OptionError)
    expect([disturbed.rawLosses, disturbed.valid]).toEqual([plain.rawLosses, plain.valid])
    expect(losses[1]).toBe(plain.valid[0])
  })

  test('batches of its loaders can be looked at, and change nothing', async () => {
    const fit = async (aside: (learner: Learner) => unknown) => {
      const { learner } = await tinyLearner({}, { ...DATA, train: 40, batchTransforms: augTransforms() })
      const looks: unknown[] = []
      const look: Callback = {
        name: 'look',
        order: 99,
        runsOn: 'train',
        afterBatch: ({ iteration }) => void (iteration === 3 && looks.push(aside(learner))),
      }
      await learner.fit(2, 1e-2, { callbacks: [look] })
      await Promise.all(looks)
      return learner.recorder.rawLosses
    }
    const plain = await fit(() => {})
    const pass = async ({ loaders }: Learner) => {
      for await (const _ of loaders.train.batches()) break
    }
    expect(await fit(pass)).toEqual(plain)
    expect(await fit(({ loaders }) => batchStats(loaders.train))).toEqual(plain)
  })
})

describe('while a fit waits for a handler', () => {
  test.each(['beforeTrain', 'afterTrain', 'beforeValidate', 'afterEpoch'] as const)(
    '%s can measure, awaited or not, and the fit goes on as it was',
    async (event) => {
      const plain = await fitted([])
      const losses: number[] = []
      const asked: Promise<void>[] = []
      const measure = async (learner: Learner) => void losses.push((await learner.validate()).loss)
      const awaited = await fitted([{ name: 'aside', order: 99, [event]: measure }])
      const started = await fitted([
        { name: 'aside', order: 99, [event]: (learner: Learner) => void asked.push(measure(learner)) },
      ])
      await Promise.all(asked)
      for (const { rawLosses, valid } of [awaited, started]) {
        expect([rawLosses, valid]).toEqual([plain.rawLosses, plain.valid])
      }
      expect(losses.length).toBe(4)
      expect(losses.slice(2)).toEqual(losses.slice(0, 2))
      if (event !== 'beforeTrain') expect(losses.slice(0, 2)).toEqual(plain.valid)
    },
  )

  test('norms that a handler has put into evaluation stay there where it measures', async () => {
    const freeze: Callback = {
      name: 'freeze',
      order: 99,
      async beforeTrain(learner) {
        for (const module of learner.model.modules()) if (module instanceof BatchNorm) module.eval()
        await learner.validate()
      },
    }
    const { learner } = await fitted([freeze])
    for (const [name, { data }] of await learner.model.stateDict()) {
      if (name.endsWith('running_mean')) expect([name, ...new Set(data)]).toEqual([name, 0])
    }
  })

  test('a handler that measures does not make the fit forget that it was interrupted', async () => {
    const stop: Callback = {
      name: 'stop',
      order: 99,
      async afterEpoch(learner) {
        learner.interrupt()
        await learner.validate().catch((error: unknown) => expect(error).toBeInstanceOf(Interrupted))
      },
    }
    const { interrupted, valid } = await fitted([stop])
    expect([interrupted, valid.length]).toEqual([true, 1])
  })
})

describe('without a fit', () => {
  test('evaluations wait for each other, and a fit for them', async () => {
    const { learner } = await tinyLearner({}, DATA)
    const [loss, predictions] = [(await learner.validate()).loss, (await learner.getPredictions()).predictions.data]
    const both = await Promise.all([learner.validate(), learner.getPredictions()])
    expect([both[0].loss, both[1].predictions.data]).toEqual([loss, predictions])
    const plain = await fitted([])
    const before: number[] = []
    const after = await fitted([], (fresh) => fresh.validate().then((result) => void before.push(result.loss)))
    expect(before).toEqual([loss])
    expect([after.rawLosses, after.valid]).toEqual([plain.rawLosses, plain.valid])
  })

  test('freeze is refused where there is one group, and fineTune says so', async () => {
    const { learner, lines } = await tinyLearner({}, DATA)
    expect(() => learner.freeze()).toThrowErrorMatchingInlineSnapshot(`
      [OptionError: freeze: the learner has one parameter group, so nothing would be frozen
        Fix: divide the model: new Learner(loaders, model, { groups: xresnetGroups }), or pass resnetGroups or a function of your own]
    `)
    await learner.fineTune(1)
    expect(lines[0]).toBe(
      'fineTune: the learner has one parameter group, so nothing is frozen; to train the head first: { groups: xresnetGroups } or resnetGroups, or a learner of visionLearner',
    )
  })
})

describe('an interruption while a fit prepares', () => {
  test.each<[string, (learner: Learner) => Promise<unknown>]>([
    ['fit', (learner) => learner.fit(200)],
    ['fitOneCycle', (learner) => learner.fitOneCycle(200)],
    ['fineTune', (learner) => learner.fineTune(200)],
  ])('ends %s before its first step', async (_name, fit) => {
    for (const stop of [(learner: Learner) => learner.interrupt(), (_: Learner, ctrlC: () => void) => ctrlC()]) {
      const { learner, loaders } = await tinyLearner({}, DATA)
      const before = await learner.model.stateDict()
      const fitting = fit(learner)
      stop(learner, loaders.platform.interrupt)
      await fitting
      expect([learner.interrupted, learner.recorder.rows, learner.trainIteration]).toEqual([true, [], 0])
      expect(await learner.model.stateDict()).toEqual(before)
    }
  })

  test('ends lrFind before its first step', async () => {
    const { learner } = await tinyLearner({}, DATA)
    const search = learner.lrFind()
    learner.interrupt()
    await expect(search).rejects.toThrow(Interrupted)
    expect(learner.trainIteration).toBe(0)
    // The next one begins anew.
    await learner.fit(1)
    expect(learner.interrupted).toBe(false)
  })

  test('holds for a fit that has not begun, and for one only', async () => {
    const { learner } = await tinyLearner({}, DATA)
    learner.interrupt()
    // What is measured meanwhile has a result.
    expect((await learner.validate()).loss).toBeGreaterThan(0)
    await learner.fit(200)
    expect([learner.interrupted, learner.recorder.rows, learner.trainIteration]).toEqual([true, [], 0])
    await learner.fit(1)
    expect([learner.interrupted, learner.recorder.rows.length]).toEqual([false, 1])
    learner.interrupt()
    await expect(learner.lrFind()).rejects.toThrow(Interrupted)
  })

  test('is heard again after what could not begin, and holds for nothing later', async () => {
    const { learner, loaders } = await tinyLearner({}, DATA)
    learner.loaders = {} as never
    for (const work of [() => learner.fit(1), () => learner.validate()]) {
      await expect(work()).rejects.toThrow('learner: loaders is not of the right kind')
    }
    learner.loaders = loaders
    await learner.fit(200, 1e-3, { callbacks: [{ name: 'stop', order: 0, beforeTrain: loaders.platform.interrupt }] })
    expect([learner.interrupted, learner.recorder.rows.length]).toEqual([true, 0])
    await learner.fit(1)
    expect([learner.interrupted, learner.recorder.rows.length]).toEqual([false, 1])
  })
})
