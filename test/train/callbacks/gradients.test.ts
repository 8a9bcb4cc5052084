import { describe, expect, test } from 'vitest'
import { read, upload } from '../../../src/tensor/read-write.ts'
import type { Callback } from '../../../src/train/fit/callback.ts'
import { gradientAccumulation } from '../../../src/train/callbacks/gradient-accumulation.ts'
import { gradientClip } from '../../../src/train/callbacks/gradient-clip.ts'
import { terminateOnNaN } from '../../../src/train/callbacks/terminate-on-nan.ts'
import { Learner } from '../../../src/train/learner.ts'
import { expectClose, normOf } from '../../../src/testing/close.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { tinyLoaders, tinyModel } from '../../helpers/tiny.ts'

await openTestGpu()

/** Reads the gradients of all parameters at that event of every training step. */
function gradientReader(event: 'afterBackward' | 'afterStep'): { callback: Callback; all(): Promise<number[][]> } {
  const reads: Promise<number[]>[] = []
  const callback: Callback = {
    name: 'gradients',
    order: 70,
    runsOn: 'train',
    [event]: ({ model }: Learner) => {
      const gradients = model.parameters().map(({ leaf }) => read(leaf.gradient!))
      reads.push(Promise.all(gradients).then((parts) => parts.flatMap((part) => [...part])))
    },
  }
  return { callback, all: () => Promise.all(reads) }
}

describe('gradientAccumulation', () => {
  /** What 3 batches of 4 an epoch do at a learning rate of 0, over two epochs. */
  async function train(callbacks: readonly Callback[], precision: 'f32' | 'mixed' = 'f32') {
    const gradients = gradientReader('afterBackward')
    const learner = new Learner(await tinyLoaders({ train: 12, batchSize: 4 }), tinyModel(), {
      callbacks: [...callbacks, gradients.callback],
    })
    if (precision === 'mixed') learner.toFp16()
    await learner.fit(2, 0, { weightDecay: 0 })
    const state = await learner.optimizer!.state()
    return { learner, gradients: await gradients.all(), steps: state.get('3.weight.step')!.data[0] }
  }

  test('steps with the mean over so many items, on over the end of an epoch', async () => {
    const plain = await train([])
    const { gradients, steps, learner } = await train([gradientAccumulation(8)])
    expect([plain.steps, steps]).toEqual([6, 3])
    for (const [first, second] of [
      [0, 1],
      [2, 3],
      [4, 5],
    ]) {
      const half = plain.gradients[first].map((value) => value / 2)
      expectClose(gradients[first], half, 'f32', { name: `batch ${first}` })
      expectClose(
        gradients[second],
        half.map((value, i) => value + plain.gradients[second][i] / 2),
        'f32',
        { name: `batch ${second}` },
      )
    }
    // What is written down is the loss of each batch.
    expect(learner.recorder.rawLosses).toEqual(plain.learner.recorder.rawLosses)
    expect(learner.recorder.lrs).toHaveLength(6)
  })

  test('in mixed precision the scale stays what it is until a step', async () => {
    const { gradients, steps } = await train([gradientAccumulation(12)], 'mixed')
    const plain = await train([], 'mixed')
    expect(steps).toBe(2)
    const sum = plain.gradients[0].map((value, i) => (value + plain.gradients[1][i] + plain.gradients[2][i]) / 3)
    expectClose(gradients[2], sum, 'f16', { roundings: 8 })
  })

  test('counts items: 6 are reached by two batches of 4', async () => {
    expect((await train([gradientAccumulation(6)])).steps).toBe(3)
    expect((await train([gradientAccumulation(4)])).steps).toBe(6)
    expect(() => gradientAccumulation(0)).toThrow('gradientAccumulation: items is out of range')
  })

  test('what a fit leaves over is not part of the next one', async () => {
    const { learner, steps } = await train([gradientAccumulation(16)])
    // Six batches of four: the last two are left over.
    const gradients = gradientReader('afterBackward')
    await learner.fit(1, 0, { weightDecay: 0, callbacks: [gradients.callback] })
    // Nor do the items of before count: twelve are too few for a step.
    expect((await learner.optimizer!.state()).get('3.weight.step')!.data[0]).toBe(steps)
    const alone = gradientReader('afterBackward')
    const plain = new Learner(learner.loaders, learner.model)
    plain.epochsBegun = 2
    await plain.fit(1, 0, { weightDecay: 0, callbacks: [alone.callback] })
    expectClose(
      (await gradients.all())[0],
      (await alone.all())[0].map((value) => value / 4),
      'f32',
    )
  })
})

describe('gradientClip', () => {
  test.each(['f32', 'mixed'] as const)(
    'no step has a longer gradient, and a short one stays, %s',
    async (precision) => {
      const gradients = async (callbacks: readonly Callback[]) => {
        const reader = gradientReader('afterStep')
        const learner = new Learner(await tinyLoaders(), tinyModel(), { callbacks: [...callbacks, reader.callback] })
        if (precision === 'mixed') learner.toFp16()
        await learner.fit(1, 0, { weightDecay: 0 })
        return (await reader.all()).map((all) => all.map((value) => value / (precision === 'mixed' ? 65536 : 1)))
      }
      const whole = await gradients([])
      const norms = whole.map(normOf)
      const between = (norms[0] + norms[1]) / 2
      const clipped = await gradients([gradientClip(between)])
      const [long, short] = norms[0] > norms[1] ? [0, 1] : [1, 0]
      expect(normOf(clipped[long])).toBeCloseTo(between, 4)
      expectClose(
        clipped[long],
        whole[long].map((value) => (value * between) / norms[long]),
        'f32',
      )
      expect(clipped[short]).toEqual(whole[short])
    },
  )

  test('sees the gradients that have added up', async () => {
    const reader = gradientReader('afterStep')
    const learner = new Learner(await tinyLoaders(), tinyModel(), {
      callbacks: [gradientClip(1e-3), gradientAccumulation(8), reader.callback],
    })
    await learner.fit(1, 0, { weightDecay: 0 })
    // The first batch is cancelled before its step.
    expect((await reader.all()).map((all) => normOf(all).toFixed(6))).toEqual(['0.001000'])
    expect(() => gradientClip(-1)).toThrow('gradientClip: maxNorm is out of range')
  })
})

describe('terminateOnNaN', () => {
  test('ends the fit within some steps; what is not finite is not written down', async () => {
    const loaders = await tinyLoaders({ train: 160, batchSize: 4 })
    const learner = new Learner(loaders, tinyModel(), { callbacks: [terminateOnNaN()] })
    await learner.fit(1)
    const before = await learner.saveBytes()
    await learner.fit(3, 1e38)
    expect(learner.trainIteration).toBeLessThan(40)
    expect(learner.recorder.rows).toEqual([])
    expect(learner.recorder.rawLosses.length).toBeGreaterThan(0)
    expect(learner.recorder.rawLosses.every(Number.isFinite)).toBe(true)
    const said = loaders.platform.lines.filter((line) => line.includes('the fit ends'))
    expect(said).toEqual([expect.stringMatching(/^the loss of step \d is (NaN|-?Infinity): the fit ends$/)])
    // A later fit is not ended by what was before.
    await learner.load(before)
    await learner.fit(1)
    expect(learner.recorder.rows).toHaveLength(1)
  })

  test.each(['f32', 'f16'])('ends the fit where one weight is NaN, %s', async (dtype) => {
    const loaders = await tinyLoaders({ train: 80, batchSize: 4 })
    const model = tinyModel()
    const [{ value }] = model.parameters()
    upload(
      value,
      (await read(value)).map((number, i) => (i === 5 ? NaN : number)),
    )
    const learner = new Learner(loaders, model, { callbacks: [terminateOnNaN()] })
    if (dtype === 'f16') learner.toFp16()
    await learner.fit(2)
    expect(learner.recorder.rows).toEqual([])
    expect(loaders.platform.lines.filter((line) => line.includes('the fit ends'))).toEqual([
      'the loss of step 0 is NaN: the fit ends',
    ])
  })

  test('ends no fit of another learner', async () => {
    const loaders = await tinyLoaders({ train: 160, batchSize: 4 })
    const callbacks = [terminateOnNaN()]
    const [bad, good] = [1, 2].map((seed) => new Learner(loaders, tinyModel({ seed }), { callbacks }))
    await Promise.all([bad.fit(1, 1e38), good.fit(1, 1e-3)])
    expect([bad, good].map(({ recorder }) => recorder.rows.length)).toEqual([0, 1])
  })

  test('does nothing otherwise', async () => {
    const learner = new Learner(await tinyLoaders(), tinyModel(), { callbacks: [terminateOnNaN()] })
    await learner.fit(1)
    expect(learner.recorder.rows).toHaveLength(1)
  })
})
