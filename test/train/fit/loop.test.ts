import { describe, expect, test } from 'vitest'
import { augTransforms } from '../../../src/data/augment/transforms.ts'
import { oneCycle } from '../../../src/optim/schedule.ts'
import { roundToHalf } from '../../../src/tensor/half.ts'
import { read, upload } from '../../../src/tensor/read-write.ts'
import { Cancel, type Callback } from '../../../src/train/fit/callback.ts'
import { Learner } from '../../../src/train/learner.ts'
import type { LearnerOptions } from '../../../src/train/learner-options.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { tinyLearner, tinyLoaders, tinyModel, type TinyOptions } from '../../helpers/tiny.ts'

await openTestGpu()

describe('a fit', () => {
  test('prints the table of the notebook', async () => {
    const { learner, lines } = await tinyLearner()
    await learner.fitOneCycle(2, 3e-3)
    expect(lines.length).toBe(3)
    expect(lines[0]).toBe('epoch     train_loss  valid_loss  accuracy  time')
    expect(lines[1]).toMatch(/^0         \d\.\d{6}    \d\.\d{6}    [01]\.\d{6}  \d\d:\d\d$/)
    expect(lines[2]).toMatch(/^1 /)
  })

  test('follows the cycle of learning rate and momentum, group by group', async () => {
    const { learner } = await tinyLearner({}, { train: 20 })
    await learner.fitOneCycle(2, 3e-3)
    const { lrs, momentums } = learner.recorder
    expect(lrs.length).toBe(10)
    expect(lrs[0]).toBeCloseTo(1.2e-4, 10)
    expect(Math.max(...lrs)).toBeLessThanOrEqual(3e-3)
    expect(lrs[9]).toBeLessThan(lrs[8])
    expect([momentums[0], momentums[9]].map((value) => value > 0.9)).toEqual([true, true])
    expect(Math.min(...momentums)).toBeLessThan(0.87)
  })

  test('takes undefined as not given: the momentum is the learner’s', async () => {
    const { learner } = await tinyLearner({ momentums: [0.5, 0.4, 0.5] }, { train: 4 })
    await learner.fitOneCycle(1, 3e-3, { moms: undefined })
    expect(learner.recorder.momentums[0]).toBe(0.5)
  })

  test('has the weight decay it was asked for, and the next one the learner’s again', async () => {
    const seen: number[] = []
    const look: Callback = {
      name: 'look',
      order: 70,
      runsOn: 'train',
      afterBatch: ({ optimizer }) => void seen.push(optimizer!.hyperparameters[0].weightDecay),
    }
    const { learner } = await tinyLearner({ weightDecay: 0.02, callbacks: [look] }, { train: 4 })
    await learner.fit(1, 1e-3, { weightDecay: 0.3 })
    await learner.fitOneCycle(1, 1e-3)
    await learner.fineTune(1, 1e-3, { weightDecay: 0.4 })
    await learner.fit(1)
    expect(seen).toEqual([0.3, 0.02, 0.4, 0.4, 0.02])
    expect(learner.weightDecay).toBe(0.02)
  })

  test('leaves the optimizer its weight decay where neither it nor the learner names one', async () => {
    const { learner } = await tinyLearner({}, { train: 4 })
    const decay = async (...options: Parameters<Learner['fit']>) => {
      await learner.fit(...options)
      return learner.optimizer!.hyperparameters[0].weightDecay
    }
    // Adam's own, what was last asked for, and that of a new optimizer.
    expect(await decay(1)).toBe(0.01)
    expect(await decay(1, 1e-3, { weightDecay: 0.3 })).toBe(0.3)
    expect(await decay(1)).toBe(0.3)
    expect(await decay(1, 1e-3, { resetOptimizer: true })).toBe(0.01)
  })

  test('is the same for the same seed, and goes on with other batches at the next fit', async () => {
    const losses = async (data: TinyOptions) => {
      const { learner } = await tinyLearner({}, { train: 40, batchTransforms: [...augTransforms()], ...data })
      await learner.fit(1, 0, { weightDecay: 0 })
      const first = learner.recorder.rawLosses
      await learner.fit(1, 0, { weightDecay: 0 })
      return [first, learner.recorder.rawLosses]
    }
    const [first, second] = await losses({ seed: 3 })
    expect(await losses({ seed: 3 })).toEqual([first, second])
    expect(second).not.toEqual(first)
    expect((await losses({ seed: 4 }))[0]).not.toEqual(first)
  })

  test('begins only when the one before is over', async () => {
    const { learner, lines } = await tinyLearner()
    const [first, second] = await Promise.allSettled([learner.fitOneCycle(1), learner.fitOneCycle(1)])
    expect(first.status).toBe('fulfilled')
    expect(second).toMatchObject({
      reason: { message: 'fitOneCycle: a fit with this model is going on\n  Fix: await it first' },
    })
    expect(lines.length).toBe(2)
    const callbacks = learner.callbacks.map(({ name }) => name)
    await learner.fit(1)
    expect(learner.callbacks.map(({ name }) => name)).toEqual(callbacks)
    expect(callbacks).not.toContain('scheduler')
  })

  test('that fails in a step says so, whatever callbacks make of the losses before it', async () => {
    let failed = false
    const failing: Callback = {
      name: 'failing',
      order: 70,
      runsOn: 'train',
      afterBatch({ iteration }) {
        if (iteration !== 1) return
        failed = true
        throw new Error('mine')
      },
      lossKnown() {
        if (failed) throw new Cancel('fit')
      },
    }
    const { learner } = await tinyLearner({ callbacks: [failing] }, { train: 20 })
    await expect(learner.fit(1)).rejects.toThrow('mine')
  })

  test('that is cancelled in a step fails where callbacks make an error of the losses before it', async () => {
    let cancelled = false
    const cancelling: Callback = {
      name: 'cancelling',
      order: 70,
      runsOn: 'train',
      afterBatch({ iteration }) {
        if (iteration !== 1) return
        cancelled = true
        throw new Cancel('train')
      },
      lossKnown() {
        if (cancelled) throw new Error('mine')
      },
    }
    const { learner } = await tinyLearner({ callbacks: [cancelling] }, { train: 20 })
    await expect(learner.fit(1)).rejects.toThrow('mine')
  })

  test('can take new loaders of another size', async () => {
    const { learner } = await tinyLearner()
    await learner.fit(1)
    learner.loaders = await tinyLoaders({ size: 24, batchSize: 3 })
    await learner.fit(1)
    expect(learner.recorder.history.length).toBe(2)
  })

  test('fineTune freezes, trains, unfreezes and trains at half the rate', async () => {
    const { learner, lines } = await tinyLearner(
      {
        groups: (model) => [model.parameters().slice(0, 6), model.parameters().slice(6)],
      },
      { train: 40 },
    )
    const lrs: number[][] = []
    const frozen: boolean[] = []
    await learner.fineTune(2, 1e-2, {
      callbacks: [
        {
          name: 'look',
          order: 70,
          runsOn: 'train',
          afterStep: ({ optimizer, model }) => {
            lrs.push(optimizer!.hyperparameters.map(({ lr }) => lr))
            frozen.push(model.parameters().some(({ leaf }) => !leaf.trainable))
          },
        },
      ],
    })
    expect(lrs.length).toBe(30)
    expect(frozen).toEqual(lrs.map((_, i) => i < 10))
    // First part: slice(1e-2) on two groups, from lr / 25; second: slice(5e-5, 5e-3), from lr / 5.
    expect(lrs[0][0]).toBeCloseTo(1e-3 / 25, 10)
    expect(lrs[0][1]).toBeCloseTo(1e-2 / 25, 10)
    expect(lrs[10][0]).toBeCloseTo(5e-5 / 5, 10)
    expect(lrs[10][1]).toBeCloseTo(5e-3 / 5, 10)
    const [first, second] = [oneCycle(1e-2, { pctStart: 0.99 }), oneCycle(5e-3, { pctStart: 0.3, div: 5 })]
    const course = lrs.map((_, i) => (i < 10 ? first.lr(i / 10) : second.lr((i - 10) / 20)))
    lrs.forEach(([, lr], i) => expect(lr).toBeCloseTo(course[i], 8))
    // Those of the last group are recorded.
    expect(learner.recorder.lrs).toEqual(lrs.slice(10).map(([, lr]) => lr))
    expect(lines.filter((line) => line.startsWith('epoch'))).toHaveLength(2)
  })

  test('groups that leave parameters out, or have one twice, are refused', async () => {
    const fit = async (groups: LearnerOptions['groups']) => (await tinyLearner({ groups })).learner.fit(1)
    await expect(fit((model) => [model.parameters().slice(0, 2)])).rejects.toThrowErrorMatchingInlineSnapshot(`
      [OptionError: groups: every parameter of the model must be in exactly one group
        parameters         8
        in no group        6
        in several         0
        not of this model  0
        Fix: collect parameters that are not to be trained in a group of their own and freeze it: freezeTo(1)]
    `)
    await expect(fit((model) => [model.parameters(), model.parameters().slice(0, 1)])).rejects.toThrow(
      'every parameter of the model must be in exactly one group',
    )
    await expect(fit((model) => [model.parameters(), tinyModel().parameters()])).rejects.toThrow(
      'every parameter of the model must be in exactly one group',
    )
  })

  test('freezing makes the optimizer forget, also where nothing is frozen', async () => {
    const { learner } = await tinyLearner()
    const steps = async () =>
      [...(await learner.optimizer!.state())].filter(([name]) => name.endsWith('.step')).map(([, { data }]) => data[0])
    await learner.fit(2)
    expect(await steps()).toEqual(learner.model.parameters().map(() => 4))
    learner.freezeTo(-1)
    expect(await steps()).toEqual(learner.model.parameters().map(() => 0))
    expect(learner.model.parameters().every(({ leaf }) => leaf.trainable)).toBe(true)
  })

  test('in mixed precision keeps f16 copies of the parameters up to date', async () => {
    const { learner } = await tinyLearner()
    learner.toFp16()
    await learner.fit(1)
    const parameter = learner.model.parameters()[0]
    expect(parameter.f16Copy).toBeDefined()
    expect(await read(parameter.f16Copy!)).toEqual((await read(parameter.value)).map(roundToHalf))
  })

  test('in mixed precision goes on over an overflow: the schedule advances, the optimizer does not, the scale is halved', async () => {
    const overflow: Callback = {
      name: 'overflow',
      order: 5,
      runsOn: 'train',
      afterBackward: ({ trainIteration, model }) => {
        const [{ count, leaf }] = model.parameters()
        if (trainIteration === 1) upload(leaf.gradient!, new Float32Array(count).fill(Infinity))
      },
      afterTrain: async ({ scaler }) => void scales.push(await scaler!.state()),
    }
    const scales: { readonly scale: number; readonly goodSteps: number }[] = []
    const { learner } = await tinyLearner({ callbacks: [overflow] }, { train: 12 })
    await learner.toFp16().fitOneCycle(1, 1e-2)
    const { lrs, momentums, rawLosses, losses } = learner.recorder
    const { lr, momentum } = oneCycle(1e-2)
    // Progress is a sum of thirds.
    lrs.forEach((value, i) => expect(value).toBeCloseTo(lr(i / 3), 9))
    momentums.forEach((value, i) => expect(value).toBeCloseTo(momentum(i / 3), 6))
    expect([lrs.length, momentums.length, rawLosses.length, losses.length, learner.trainIteration]).toEqual([
      3, 3, 3, 3, 3,
    ])
    expect(losses.every(Number.isFinite)).toBe(true)
    const steps = [...(await learner.optimizer!.state())]
      .filter(([name]) => name.endsWith('.step'))
      .map(([, { data }]) => data[0])
    expect(steps).toEqual(learner.model.parameters().map(() => 2))
    expect(scales).toEqual([{ scale: 32768, goodSteps: 1 }])
  })

  test('fitFlatCos keeps the learning rate for three quarters, then lowers it along a cosine; momentum stays', async () => {
    const { learner } = await tinyLearner({}, { train: 32 })
    await learner.fitFlatCos(2, 8e-3)
    const { lrs, momentums } = learner.recorder
    // Sixteen steps: twelve at the full rate, and the four quarters of half a cosine, the last not being its end.
    const falling = [0, 1, 2, 3].map((k) => 8e-8 + (8e-3 - 8e-8) * (0.5 + 0.5 * Math.cos((Math.PI * k) / 4)))
    const expected = [...new Array<number>(12).fill(8e-3), ...falling]
    expect(lrs.length).toBe(16)
    lrs.forEach((lr, i) => expect(lr).toBeCloseTo(expected[i], 8))
    expect(lrs[13]).toBeLessThan(7e-3)
    // Adam's own.
    expect(momentums).toEqual(new Array<number>(16).fill(0.9))
    await learner.fitFlatCos(1, 8e-3, { pctStart: 0.5 })
    expect(learner.recorder.lrs.filter((lr) => lr === 8e-3).length).toBe(5)
  })

  test('leaves parameters where they are with a learning rate of 0', async () => {
    const { learner } = await tinyLearner()
    const weights = async () => [...(await learner.model.stateDict()).get('3.weight')!.data]
    const before = await weights()
    await learner.fit(1, 0)
    expect(await weights()).toEqual(before)
    await learner.fit(1, 1e-2)
    expect(await weights()).not.toEqual(before)
  })

  test('refuses what cannot work, early', async () => {
    const { learner } = await tinyLearner({}, { train: 3, batchSize: 4 })
    await expect(learner.fit(1)).rejects.toThrowErrorMatchingInlineSnapshot(`
      [OptionError: fit: a batch is larger than the training set, so there is no batch
        batchSize       4
        training items  3
        Fix: use a smaller batchSize, or more items]
    `)
    const few = new Learner(await tinyLoaders(), tinyModel({ outputs: 2 }))
    await expect(few.fit(1)).rejects.toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: learner: the model has fewer outputs than the data have labels
        outputs  [4,2] f32
        labels   3, across slanted upright
        expected [N,K] with K ≥ 3
        Fix: build the model with 3 outputs: xresnet18({ outputs: 3 })]
    `)
    await expect(learner.fit(-1)).rejects.toThrow('epochs is out of range')
  })
})
