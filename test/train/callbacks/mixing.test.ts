import { describe, expect, test, vi } from 'vitest'
import { rng } from '../../../src/base/rng.ts'
import type { Targets } from '../../../src/data/batch.ts'
import { currentGpu, openGpuOn, useGpu } from '../../../src/gpu/device.ts'
import { softmaxCrossEntropy } from '../../../src/ops/cross-entropy.ts'
import { read, tensor } from '../../../src/tensor/read-write.ts'
import type { Callback, Step } from '../../../src/train/fit/callback.ts'
import { cutBox, cutMix, drawCutMix } from '../../../src/train/callbacks/cut-mix.ts'
import { drawMixUp, mixUp } from '../../../src/train/callbacks/mixup.ts'
import { Learner } from '../../../src/train/learner.ts'
import { crossEntropy, type Loss } from '../../../src/train/fit/losses.ts'
import { accuracy } from '../../../src/train/fit/metrics.ts'
import { openTestGpu, testPlatform } from '../../helpers/gpu.ts'
import { tinyLoaders, tinyModel } from '../../helpers/tiny.ts'

await openTestGpu()

describe('what mixup draws', () => {
  test('every picture has a weight of its own, at least a half, with the mean of a folded Beta(0.4, 0.4)', () => {
    const { weight, partner } = drawMixUp(rng(1, 'test'), 20_000, 0.4)
    expect(Math.min(...weight)).toBeGreaterThanOrEqual(0.5)
    expect(Math.max(...weight)).toBeLessThanOrEqual(1)
    expect(new Set(weight).size).toBeGreaterThan(10_000)
    // ∫ max(w, 1 − w) dBeta(0.4, 0.4), by quadrature: 0.8398.
    expect(weight.reduce((sum, one) => sum + one, 0) / 20_000).toBeCloseTo(0.8398, 2)
    expect([...partner].sort((a, b) => a - b)).toEqual(Array.from({ length: 20_000 }, (_, i) => i))
  })

  test('the larger alpha, the more is blended', () => {
    const mean = (alpha: number) =>
      drawMixUp(rng(1, 'test'), 4000, alpha).weight.reduce((sum, one) => sum + one, 0) / 4000
    expect(mean(0.1)).toBeGreaterThan(mean(0.4) + 0.05)
    expect(mean(4)).toBeLessThan(mean(0.4) - 0.1)
  })
})

describe('the box of cutMix', () => {
  test('has √(1 − weight) of both sides', () => {
    const side = (weight: number) => {
      const [top, left, bottom, right] = cutBox(128, 128, weight, 64, 64).box
      expect(bottom - top).toBe(right - left)
      return right - left
    }
    expect(side(0.75)).toBe(64)
    // 107 pixels, of which half, rounded down, lie on either side of the middle.
    expect(side(0.3)).toBe(106)
    expect(side(0)).toBe(128)
    expect(side(1)).toBe(0)
  })

  test('is cut at the border, and the weight is what is left', () => {
    expect(cutBox(128, 128, 0.75, 10, 100)).toEqual({ box: [68, 0, 128, 42], weight: 0.84619140625 })
  })

  test('rounds a half to the even number of pixels, and knows height from width', () => {
    // √(1 − 0.75) = ½ of 5 is 2.5: two pixels; of 7 is 3.5: four.
    expect(cutBox(5, 7, 0.75, 3, 2).box).toEqual([1, 1, 3, 5])
  })

  test('is one for the batch', () => {
    const { weight, box } = drawCutMix(rng(3, 'test'), { N: 5, P: 12, Q: 9 }, 1)
    expect(new Set(weight).size).toBe(1)
    const [top, left, bottom, right] = box!
    expect(weight[0]).toBeCloseTo(1 - ((right - left) * (bottom - top)) / 108, 6)
  })
})

describe.each([
  ['mixUp', mixUp],
  ['cutMix', cutMix],
] as const)('%s', (name, mixing) => {
  /** What happens in the batches of one fit, before and after the mixing. */
  async function watch(precision: 'f32' | 'mixed') {
    const seen: { before: number[]; after: number[]; a: number[]; b: number[]; mix: number[]; training: boolean }[] = []
    const pending: Promise<void>[] = []
    const loaders = await tinyLoaders({ train: 8, valid: 4, batchSize: 4, size: 12, seed: 2 })
    let before: Promise<ArrayLike<number>>
    const look = (order: number, see: (step: Step) => void): Callback => ({
      name: 'look',
      order,
      beforeBatch: (_, step) => see(step),
    })
    const learner = new Learner(loaders, tinyModel(), {
      metrics: [accuracy],
      callbacks: [
        look(-1, ({ input }) => {
          before = read(input)
        }),
        mixing(),
        look(1, ({ input, targets: { a, b, mix }, training }) => {
          const all = Promise.all([before, read(input), read(a), b ? read(b) : [], mix ? read(mix) : []])
          pending.push(
            all.then((parts) => {
              const [was, is, labels, others, weights] = parts.map((part) => Array.from(part))
              seen.push({ before: was, after: is, a: labels, b: others, mix: weights, training })
            }),
          )
        }),
      ],
    })
    if (precision === 'mixed') learner.toFp16()
    await learner.fit(1)
    await Promise.all(pending)
    return { seen, learner }
  }

  test('belongs to the data of a profile, as augmentation does', async () => {
    const { queue } = currentGpu()
    const launch = queue.launch.bind(queue)
    const tracks = new Map<string, Set<string>>()
    const spy = vi.spyOn(queue, 'launch').mockImplementation((one) => {
      const [room = ''] = one.label.split('/')
      tracks.set(room, (tracks.get(room) ?? new Set()).add(one.track))
      launch(one)
    })
    try {
      await watch('f32')
    } finally {
      spy.mockRestore()
    }
    expect([...(tracks.get('mixup') ?? [])]).toEqual(['data'])
    expect([...(tracks.get('augment') ?? [])]).toEqual(['data'])
    expect([...(tracks.get('optim') ?? [])]).toEqual(['optimizer'])
    expect([...(tracks.get('conv2d') ?? [])].sort()).toEqual(['backward', 'forward'])
  })

  test.each(['f32', 'mixed'] as const)(
    'mixes training batches and leaves validation as it is, %s',
    async (precision) => {
      const { seen } = await watch(precision)
      expect(seen.map(({ training }) => training)).toEqual([true, true, false])
      const valid = seen[2]
      expect(valid.after).toEqual(valid.before)
      expect([valid.b, valid.mix]).toEqual([[], []])
      const pixels = 12 * 12 * 3
      for (const [index, { before, after, a, b, mix }] of seen.slice(0, 2).entries()) {
        const draw =
          name === 'mixUp'
            ? drawMixUp(rng(2, 'mixUp', 1, index), 4, 0.4)
            : drawCutMix(rng(2, 'cutMix', 1, index), { N: 4, P: 12, Q: 12 }, 1)
        expect(mix).toEqual([...draw.weight])
        expect(b).toEqual(Array.from(draw.partner, (other) => a[other]))
        const expected = after.map((_, i) => {
          const n = Math.floor(i / pixels)
          const other = before[draw.partner[n] * pixels + (i % pixels)]
          if (!draw.box) return other + draw.weight[n] * (before[i] - other)
          const [y, x] = [Math.floor((i % pixels) / 36), Math.floor((i % 36) / 3)]
          const [top, left, bottom, right] = draw.box
          return y >= top && y < bottom && x >= left && x < right ? other : before[i]
        })
        const worst = Math.max(...after.map((value, i) => Math.abs(value - expected[i])))
        expect(worst).toBeLessThan(name === 'cutMix' ? 1e-12 : precision === 'mixed' ? 2 ** -11 : 1e-6)
        expect(after).not.toEqual(before)
      }
    },
  )

  test('refuses batches of one, and an alpha of nothing', async () => {
    const learner = new Learner(await tinyLoaders({ batchSize: 1 }), tinyModel(), { callbacks: [mixing()] })
    await expect(learner.fit(1)).rejects.toThrow('mixing needs at least two images per batch')
    expect(() => mixing(0)).toThrow(`${name}: alpha is out of range`)
  })

  test('takes no memory from one fit to the next, and adapts to other batch sizes', async () => {
    const { learner } = await watch('f32')
    const { usedBytes } = currentGpu().buffers
    await learner.fit(1)
    expect(currentGpu().buffers.usedBytes).toBeLessThanOrEqual(usedBytes)
    learner.loaders = await tinyLoaders({ batchSize: 3, train: 7 })
    await learner.fit(1)
    expect(learner.trainIteration).toBe(2)
  })

  test('is the same for the same seed, another one in the next epoch', async () => {
    const losses = async () => {
      const learner = new Learner(await tinyLoaders(), tinyModel(), { callbacks: [mixing()] })
      await learner.fit(2, 0, { weightDecay: 0 })
      return learner.recorder.rawLosses
    }
    const first = await losses()
    expect(await losses()).toEqual(first)
    expect(new Set(first).size).toBe(first.length)
  })
})

test('a loss that leaves the second labels out, and a second mixture, are refused', async () => {
  const loaders = await tinyLoaders()
  const { mean, ...others } = crossEntropy()
  const own = (targets: (given: Targets) => Targets): Loss => ({
    ...others,
    name: 'own',
    mean: (outputs, given) => mean(outputs, targets(given)),
  })
  const fit = (loss: Loss, callbacks: Callback[]) => new Learner(loaders, tinyModel(), { loss, callbacks }).fit(1)
  await expect(
    fit(
      own(({ a }) => ({ a })),
      [mixUp()],
    ),
  ).rejects.toThrowErrorMatchingInlineSnapshot(`
    [OptionError: mixUp: the loss own does not look at the second labels of mixed images
      expected mix·L(outputs, a) + (1 − mix)·L(outputs, b), where the targets { a, b, mix } of a batch have b
      Fix: compute that in its \`mean\`, or pass the targets on to softmaxCrossEntropy]
  `)
  await fit(
    own(({ a }) => ({ a })),
    [],
  )
  await fit(
    own(({ a, b, mix }) => ({ a, ...(b && mix && { b, mix }) })),
    [cutMix()],
  )
  await expect(fit(crossEntropy(), [mixUp(), cutMix()])).rejects.toThrowErrorMatchingInlineSnapshot(`
    [OptionError: cutMix: another callback has changed the targets of the batch
      Fix: use one of mixUp() and cutMix()]
  `)
})

test('one callback serves several learners at the same time, and the next GPU after a fit that failed', async () => {
  const loaders = await tinyLoaders({ train: 40 })
  const callback = mixUp()
  const losses = async (seed: number, epochs: number, callbacks: Callback[]) => {
    const learner = new Learner(loaders, tinyModel(), { seed, callbacks })
    await learner.fit(epochs, 1e-3)
    return learner.recorder.rawLosses
  }
  // The first ends earlier, with the other's steps being replayed.
  const alone = [await losses(1, 1, [mixUp()]), await losses(2, 3, [mixUp()])]
  expect(await Promise.all([losses(1, 1, [callback]), losses(2, 3, [callback])])).toEqual(alone)

  const before = currentGpu()
  const fails: Callback = {
    ...{ name: 'fails', order: 70 },
    afterBatch() {
      throw new Error('failed')
    },
  }
  const other = await openGpuOn(testPlatform())
  await expect(losses(1, 1, [callback, fails])).rejects.toThrow('failed')
  other.close()
  useGpu(before)
  expect(await losses(1, 1, [callback])).toEqual(alone[0])
})

test('the loss is that of both labels by their weights, for every item, and then its mean', async () => {
  // L(y1) = [2, 1], L(y) = [1, 3], λ = [0.9, 0.6] → [1.1, 2.2], mean 1.65: logits with these losses for labels 0 and 1.
  const logits = [
    [1, 2],
    [3, 1],
  ].flatMap(([own, other]) => [-own, -other, Math.log(1 - Math.exp(-own) - Math.exp(-other))])
  const targets = { a: tensor([0, 0], [2], 'u32'), b: tensor([1, 1], [2], 'u32'), mix: tensor([0.9, 0.6], [2]) }
  const each = await read(softmaxCrossEntropy(tensor(logits, [2, 3]), targets, { reduction: 'none' }))
  expect(each[0]).toBeCloseTo(1.1, 5)
  expect(each[1]).toBeCloseTo(2.2, 5)
  expect((await read(softmaxCrossEntropy(tensor(logits, [2, 3]), targets)))[0]).toBeCloseTo(1.65, 5)
})
