import { describe, expect, test } from 'vitest'
import { Cancel, type Callback } from '../../../src/train/fit/callback.ts'
import { earlyStopping } from '../../../src/train/callbacks/early-stopping.ts'
import type { Learner } from '../../../src/train/learner.ts'
import { fakePlatform } from '../../helpers/fake-platform.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { stripes, tinyLearner } from '../../helpers/tiny.ts'

await openTestGpu()

/** A platform with a terminal, and what was written to its last line. */
function withTerminal() {
  const shown: string[] = []
  const platform = fakePlatform({ picture: (path) => stripes(path, 16) })
  Object.defineProperty(platform, 'status', { value: (text: string) => void shown.push(text) })
  return { platform, shown }
}

describe('in a terminal', () => {
  test('the line of a validation after a fit speaks of no epoch, and goes when it is over', async () => {
    const { platform, shown } = withTerminal()
    const { learner } = await tinyLearner({}, { platform, batchSize: 2 })
    await learner.fit(3)
    const names = () => new Set(shown.splice(0).map((text) => text.split('  ')[0]))
    expect(names()).toEqual(
      new Set(['epoch 1/3', 'epoch 1/3 valid', 'epoch 2/3', 'epoch 2/3 valid', 'epoch 3/3', 'epoch 3/3 valid', '']),
    )
    await learner.validate()
    expect(shown.at(-1)).toBe('')
    expect(names()).toEqual(new Set(['valid', '']))
    await learner.tta({ n: 1 })
    expect(names()).toEqual(new Set(['valid', '']))
  })
})

describe('in a terminal, the line of work that fails', () => {
  const failing = (training: boolean): Callback => ({
    name: 'failing',
    order: 70,
    afterBatch(_state, step) {
      if (step.training === training) throw new Error('mine')
    },
  })

  test.each<[string, boolean, (learner: Learner) => Promise<unknown>]>([
    ['fit', true, (learner) => learner.fit(1)],
    ['validate', false, (learner) => learner.validate()],
  ])('goes before its error is printed: %s', async (_name, training, work) => {
    const { platform, shown } = withTerminal()
    const { learner } = await tinyLearner({ callbacks: [failing(training)] }, { platform, batchSize: 2 })
    await expect(work(learner)).rejects.toThrow('mine')
    expect(shown.length).toBeGreaterThan(1)
    expect(shown.at(-1)).toBe('')
  })
})

describe('without a terminal', () => {
  test('a long epoch prints a line now and then, a short one none', async () => {
    // The clock of the fake platform goes on by a second each time it is asked, about three times a step.
    const long = await tinyLearner({}, { train: 120, batchSize: 2 })
    await long.learner.fit(1)
    const lines = long.lines.filter((line) => line.startsWith('epoch 1/1 '))
    expect(lines.length).toBeGreaterThan(1)
    expect(lines.length).toBeLessThan(10)
    // The losses of 32 steps are held at most, so those of the first are known by now, however slow the GPU is.
    expect(lines.at(-1)).toMatch(/^epoch 1\/1 {2}\d+% \[\d+\/60 \d\d:\d\d<\d\d:\d\d \d\.\d{4}\] {2}\S+ images\/s$/)
    const short = await tinyLearner()
    await short.learner.fit(1)
    expect(short.lines.length).toBe(2)
  })
})

describe('the line of a fit that ended early', () => {
  const cancelled = async (event: 'afterEpoch' | 'beforeValidate', at: number) => {
    const cancel: Callback = {
      name: 'cancel',
      order: 70,
      [event]: ({ epoch }: { epoch: number }) => {
        if (epoch === at) throw new Cancel('fit')
      },
    }
    const { learner, lines } = await tinyLearner({ callbacks: [cancel] })
    await learner.fit(3)
    return lines.at(-1)
  }

  test('says how many epochs are done', async () => {
    expect(await cancelled('beforeValidate', 1)).toBe('ended early in epoch 1: 1 of 3 epochs are done and kept')
    expect(await cancelled('afterEpoch', 1)).toBe('ended early after epoch 1: 2 of 3 epochs are done and kept')
  })

  test('is not there after the last epoch', async () => {
    expect(await cancelled('afterEpoch', 2)).toMatch(/^2 /)
    const { learner, lines } = await tinyLearner({
      callbacks: [earlyStopping({ monitor: 'accuracy', minDelta: 2, patience: 2 })],
    })
    await learner.fit(3)
    expect(lines.filter((line) => line.startsWith('ended'))).toEqual([])
  })
})
