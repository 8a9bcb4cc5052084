import { describe, expect, test } from 'vitest'
import { augTransforms } from '../../../src/data/augment/transforms.ts'
import { ranger } from '../../../src/optim/lookahead.ts'
import { csvLogger } from '../../../src/train/callbacks/csv-logger.ts'
import { earlyStopping } from '../../../src/train/callbacks/early-stopping.ts'
import { gradientAccumulation } from '../../../src/train/callbacks/gradient-accumulation.ts'
import { mixUp } from '../../../src/train/callbacks/mixup.ts'
import { Learner } from '../../../src/train/learner.ts'
import type { LearnerOptions } from '../../../src/train/learner-options.ts'
import { valley } from '../../../src/train/results/lr-suggestions.ts'
import { accuracy } from '../../../src/train/fit/metrics.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { tinyLoaders, tinyModel } from '../../helpers/tiny.ts'

await openTestGpu()

async function tinyLearner(options: LearnerOptions = {}) {
  const loaders = await tinyLoaders({ train: 24, batchTransforms: augTransforms() })
  return {
    learner: new Learner(loaders, tinyModel(), { metrics: [accuracy], ...options }),
    lines: loaders.platform.lines,
  }
}

async function everything({ model, optimizer, epochsBegun, recorder }: Learner) {
  const dicts = [await model.stateDict(), await optimizer!.state()]
  return {
    tensors: dicts.flatMap((dict) => [...dict].map(([name, { data }]) => [name, [...data]])),
    hyperparameters: optimizer!.hyperparameters,
    epochsBegun,
    rows: recorder.history,
  }
}

describe('lrFind', () => {
  test('tries rates that rise evenly, at most so many, and suggests one of them', async () => {
    const { learner } = await tinyLearner()
    const { lrs, losses, suggestions } = await learner.lrFind({ stopWhenDiverged: false, endLr: 1, steps: 40 })
    expect(lrs).toHaveLength(40)
    expect(losses).toHaveLength(40)
    lrs.forEach((lr, k) => expect(lr).toBeCloseTo(1e-7 * 1e7 ** (k / 40), 12))
    expect(Object.keys(suggestions)).toEqual(['valley'])
    expect(suggestions.valley).toEqual(valley({ lrs: lrs.slice(4, -5), losses: losses.slice(4, -5) }))
  })

  test('all four suggestions', async () => {
    const { learner } = await tinyLearner()
    const { suggestions } = await learner.lrFind({ suggest: ['minimum', 'steep', 'valley', 'slide'] })
    for (const { lr } of Object.values(suggestions)) expect(lr).toBeGreaterThan(1e-8)
    expect(Object.keys(suggestions)).toEqual(['minimum', 'steep', 'valley', 'slide'])
  })

  test('ends when the loss is four times its lowest, and leaves out what was done after that', async () => {
    const { learner } = await tinyLearner()
    const { losses, lrs } = await learner.lrFind({ endLr: 1e4, steps: 100 })
    expect(losses.length).toBeLessThan(100)
    expect(lrs).toHaveLength(losses.length)
    const lowest = Math.min(...losses)
    expect(losses.at(-1)).toBeGreaterThan(4 * lowest)
    expect(losses.slice(0, -1).every((loss, i) => loss <= 4 * Math.min(...losses.slice(0, i + 1)))).toBe(true)
  })

  test.each([
    ['adam', {}],
    ['ranger and mixup', { optimizer: ranger(), callbacks: [mixUp()] }],
  ])('leaves no trace: the fit after it is the same as without it, %s', async (_name, options) => {
    const [plain, searched] = [await tinyLearner(options), await tinyLearner(options)]
    for (const { learner } of [plain, searched]) await learner.fit(1)
    const before = await everything(searched.learner)
    const { callbacks } = searched.learner
    await searched.learner.lrFind()
    expect(await everything(searched.learner)).toEqual(before)
    expect(searched.learner.callbacks).toBe(callbacks)
    const lossesOf = async ({ learner }: typeof plain) => {
      await learner.fitOneCycle(2, 1e-2)
      return learner.recorder.rawLosses
    }
    expect(await lossesOf(searched)).toEqual(await lossesOf(plain))
  })

  test('leaves no gradients that were adding up', async () => {
    const { learner } = await tinyLearner({ callbacks: [gradientAccumulation(1000)] })
    await learner.lrFind({ steps: 10 })
    expect(learner.model.parameters().some(({ leaf }) => leaf.hasGradient)).toBe(false)
  })

  test('before the first fit as well, in mixed precision', async () => {
    const [plain, searched] = [await tinyLearner(), await tinyLearner()]
    await searched.learner.toFp16().lrFind()
    for (const { learner } of [plain, searched]) await learner.toFp16().fit(1)
    expect(await everything(searched.learner)).toMatchObject({ tensors: (await everything(plain.learner)).tensors })
  })

  test('says nothing, validates nothing, writes nothing, and stops nobody', async () => {
    const heard: string[] = []
    const { learner, lines } = await tinyLearner({
      callbacks: [
        csvLogger('there are no files'),
        earlyStopping({ monitor: 'nothing' }),
        { name: 'look', order: 0, runsOn: 'valid', afterBatch: () => void heard.push('valid') },
      ],
    })
    await learner.lrFind({ steps: 20 })
    expect([lines, heard]).toEqual([[], []])
  })

  test('refuses what cannot be searched', async () => {
    const { learner } = await tinyLearner()
    const suggest = ['valey'] as unknown as ['valley']
    await expect(learner.lrFind({ suggest })).rejects.toThrow('lrFind: unknown suggestion')
    await expect(learner.lrFind({ startLr: 1, endLr: 0.1 })).rejects.toThrow('lrFind: the range of the search is empty')
    await expect(learner.lrFind({ steps: 6 })).resolves.toBeDefined()
  })
})

describe('fitSgdr', () => {
  test('makes cycles, each longer than the one before, from the highest rate to almost nothing', async () => {
    const { learner } = await tinyLearner()
    await learner.fitSgdr(2, 1, { lrMax: 1e-2 })
    // 6 batches an epoch: a cycle of one epoch, and one of two.
    const { lrs } = learner.recorder
    expect(lrs).toHaveLength(18)
    const cosine = (k: number, length: number) => 5e-3 * (1 + Math.cos((Math.PI * k) / length))
    lrs.forEach((lr, k) => expect(lr).toBeCloseTo(k < 6 ? cosine(k, 6) : cosine(k - 6, 12), 8))
  })

  test('cycles of one length, and counts that are none', async () => {
    const { learner } = await tinyLearner()
    await learner.fitSgdr(3, 1, { cycleMult: 1 })
    expect(learner.recorder.rows).toHaveLength(3)
    expect(learner.recorder.lrs[12]).toBeCloseTo(1e-3, 8)
    await expect(learner.fitSgdr(0, 1)).rejects.toThrow('sgdr: cycles is out of range')
  })
})
