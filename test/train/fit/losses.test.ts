import { describe, expect, test } from 'vitest'
import { OptionError } from '../../../src/base/errors.ts'
import { LossScaler } from '../../../src/optim/loss-scaler.ts'
import { noGrad } from '../../../src/tensor/op.ts'
import { scope } from '../../../src/tensor/scope.ts'
import { read, tensor, upload } from '../../../src/tensor/read-write.ts'
import { crossEntropy, focalLoss, labelSmoothing, smoothedLabels, type Loss } from '../../../src/train/fit/losses.ts'
import { mixUp } from '../../../src/train/callbacks/mixup.ts'
import { LossReader } from '../../../src/train/fit/loss-reader.ts'
import { backward } from '../../../src/tensor/backward.ts'
import { expectClose, normOf } from '../../../src/testing/close.ts'
import { golden } from '../../helpers/golden.ts'
import { hashUniform } from '../../../src/testing/hash-uniform.ts'
import { tinyLearner } from '../../helpers/tiny.ts'
import { openTestGpu } from '../../helpers/gpu.ts'

await openTestGpu()

/** Computes a loss of logits by hand. */
async function values(loss: Loss) {
  const { each, mean } = scope(() =>
    noGrad(() => {
      const outputs = tensor([2, 1, 0, -1, 0, 0, 0, 0], [2, 4])
      const targets = { a: tensor([0, 3], [2], 'u32') }
      return { each: loss.each(outputs, targets), mean: loss.mean(outputs, targets) }
    }),
  )
  return { each: await read(each), mean: await read(mean) }
}

describe('losses of [2,1,0,-1] and [0,0,0,0] with labels 0 and 3', () => {
  test('cross-entropy', async () => {
    const { each, mean } = await values(crossEntropy())
    expectClose(each, [0.44018969, 1.38629436], 'f32')
    expectClose(mean, [(0.44018969 + 1.38629436) / 2], 'f32')
  })

  test('with smoothed labels', async () => {
    const { each, mean } = await values(labelSmoothing(0.1))
    expectClose(each, [0.5901897, 1.38629436], 'f32')
    expectClose(mean, [0.98824203], 'f32')
  })

  test('eps is a part of the target', () => {
    expect(() => labelSmoothing(1)).toThrow(OptionError)
    expect(() => labelSmoothing(-0.1)).toThrow('eps is out of range')
    expect([crossEntropy().name, labelSmoothing().name]).toEqual(['crossEntropy', 'labelSmoothing'])
  })
})

describe('weights of classes', () => {
  interface Golden {
    readonly name: 'crossEntropy' | 'labelSmoothing' | 'focalLoss'
    readonly N: number
    readonly K: number
    readonly weighted: boolean
    readonly smoothing: number
    readonly gamma: number
    readonly each: readonly number[]
    readonly mean: number
    readonly dlogits: readonly number[]
  }
  const { cases } = golden<{ cases: readonly Golden[] }>('weighted_losses')

  test.each(cases)('$name [$N,$K], weighted $weighted, gamma $gamma, as in PyTorch', async (want) => {
    const { name, N, K } = want
    const weight = want.weighted ? { weight: Array.from(hashUniform(K, 3), (u) => Math.floor(8 * u) / 4) } : {}
    const loss = {
      crossEntropy: () => crossEntropy(weight),
      labelSmoothing: () => labelSmoothing(want.smoothing, weight),
      focalLoss: () => focalLoss({ gamma: want.gamma, ...weight }),
    }[name]()
    const outputs = tensor(hashUniform(N * K, 1, -6, 6), [N, K])
    outputs.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    const a = tensor(
      Array.from(hashUniform(N, 2), (u) => Math.floor(K * u)),
      [N],
      'u32',
    )
    const { each, mean } = scope(() => {
      const mean = loss.mean(outputs, { a })
      backward(mean, tensor([1], []))
      return { mean, each: noGrad(() => loss.each(outputs, { a })) }
    })
    expectClose(await read(each), want.each, 'f32', { name: 'each', norm: Math.max(1, normOf(want.each)) })
    expectClose(await read(mean), [want.mean], 'f32', { name: 'mean', norm: Math.max(1, want.mean) })
    expectClose(await read(outputs.leaf.gradient!), want.dlogits, 'f32', {
      name: 'dlogits',
      shape: [N, K],
      norm: Math.max(0.1, normOf(want.dlogits)),
    })
  })

  test('with gamma 0 the focal loss is the cross-entropy', async () => {
    const [focal, plain] = [await values(focalLoss({ gamma: 0 })), await values(crossEntropy())]
    expect([...focal.each, ...focal.mean]).toEqual([...plain.each, ...plain.mean])
  })

  test('validation divides by the weights of its items', async () => {
    const weight = [0.5, 2, 0]
    const { learner } = await tinyLearner({ loss: crossEntropy({ weight }) }, { valid: 7 })
    const [{ loss }, { losses, targets }] = [await learner.validate(), await learner.getPredictions()]
    const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0)
    expect(loss).toBeCloseTo(sum(losses) / sum(Array.from(targets, (label) => weight[label])), 5)
    const plain = await tinyLearner({}, { valid: 7 })
    const { losses: each } = await plain.learner.getPredictions()
    expectClose(
      losses,
      each.map((value, i) => weight[targets[i]] * value),
      'f32',
    )
    // Where no item counts nothing is measured; as in PyTorch it is NaN.
    for (const loss of [crossEntropy({ weight }), labelSmoothing(0.1, { weight })]) {
      const none = await tinyLearner({ loss }, { valid: 1 })
      expect((await none.learner.validate()).loss).toBeNaN()
    }
  })

  test('a fit replays its steps with them, also with mixed images', async () => {
    const { learner } = await tinyLearner(
      { loss: focalLoss({ weight: [1, 2, 3] }), callbacks: [mixUp()] },
      { train: 24 },
    )
    await learner.fit(3, 1e-2)
    expect(learner.recorder.losses.length).toBe(18)
    expect(learner.recorder.losses.every(Number.isFinite)).toBe(true)
    const { learner: again } = await tinyLearner(
      { loss: focalLoss({ weight: [1, 2, 3] }), callbacks: [mixUp()], replay: false },
      { train: 24 },
    )
    await again.fit(3, 1e-2)
    expect(again.recorder.losses).toEqual(learner.recorder.losses)
  })

  test('weights that are none are refused', () => {
    expect(() => crossEntropy({ weight: [1, -1] })).toThrowErrorMatchingInlineSnapshot(`
      [OptionError: crossEntropy: weight[1] is out of range
        weight[1]  -1
        expected at least 0]
    `)
    expect(() => focalLoss({ weight: [0, 0] })).toThrow('no class has a weight')
    expect(() => labelSmoothing(0.1, { weight: [1, NaN] })).toThrow('weight[1] is out of range')
    expect(() => focalLoss({ gamma: -1 })).toThrow('gamma is out of range')
    expect(() => focalLoss({ alpha: 1 } as object)).toThrow("there is no option 'alpha'")
  })

  test('of another number than the model has outputs are refused', async () => {
    const { learner } = await tinyLearner({ loss: crossEntropy({ weight: [1, 2] }) })
    await expect(learner.validate()).rejects.toThrow('weight does not fit the logits')
  })
})

describe('reading losses late', () => {
  const f32 = new LossScaler({ mixed: false })
  const record = (reader: LossReader, from: number, to: number, scaler = f32) => {
    for (let i = from; i < to; i++) scope(() => reader.record(i, tensor([i / 2], []), scaler))
  }

  test('in mixed precision with the loss scale and the skipped steps of their time', async () => {
    const reader = new LossReader()
    const scaler = new LossScaler({ mixed: true })
    const known = []
    for (let step = 0; step < 70; step++) {
      upload(scaler.scale, [2 ** -step])
      upload(scaler.skippedSteps, [step])
      record(reader, step, step + 1, scaler)
      known.push(...(await reader.collect(step)))
    }
    known.push(...(await reader.flush()))
    expect(known).toEqual(
      Array.from({ length: 70 }, (_, i) => ({
        iteration: i,
        loss: i / 2,
        scaling: { lossScale: 2 ** -i, skippedSteps: i },
      })),
    )
    reader.close()
    scaler.close()
  })

  test('all of them come, in order, however many are recorded between two looks', async () => {
    const reader = new LossReader()
    const known = []
    let clock = 0
    for (let step = 0; step < 100; step++) {
      record(reader, step, step + 1)
      known.push(...(await reader.collect((clock += 1))))
    }
    known.push(...(await reader.flush()))
    expect(known).toEqual(Array.from({ length: 100 }, (_, i) => ({ iteration: i, loss: i / 2 })))
    expect(await reader.flush()).toEqual([])
    reader.close()
  })

  test('where steps take long each is read soon', async () => {
    const reader = new LossReader()
    for (let step = 0; step < 10; step++) {
      record(reader, step, step + 1)
      let known = await reader.collect(step * 1000)
      expect(known).toEqual([])
      // At the same time of its clock it begins no other read.
      while (known.length === 0) {
        await new Promise((resolve) => setTimeout(resolve))
        known = await reader.collect(step * 1000)
      }
      expect(known).toEqual([{ iteration: step, loss: step / 2 }])
    }
    expect(await reader.flush()).toEqual([])
    reader.close()
  })
})

describe('smoothed labels', () => {
  const entropy = (row: readonly number[]) => row.reduce((sum, p) => sum - p * Math.log(p), 0)

  test('0.01 and 0.91 for ten classes', () => {
    const row = smoothedLabels(10, 0.1, 3)
    expect(row.map((p) => +p.toFixed(12))).toEqual([0.01, 0.01, 0.01, 0.91, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01])
    // The least that the loss can be: 0.50029; with the lesson's thousand outputs 1.01485.
    expect(entropy(row)).toBeCloseTo(0.50029, 5)
    const thousand = smoothedLabels(1000, 0.1, 0)
    expect([thousand[0], thousand[1], thousand[999]].map((p) => +p.toFixed(12))).toEqual([0.9001, 0.0001, 0.0001])
    expect(entropy(thousand)).toBeCloseTo(1.01485, 5)
    expect(thousand.reduce((a, b) => a + b)).toBeCloseTo(1, 12)
    expect(smoothedLabels(3, 0, 2)).toEqual([0, 0, 1])
  })

  test('are what the loss compares with', async () => {
    const { each } = await values(labelSmoothing(0.1))
    const logits = [
      [2, 1, 0, -1],
      [0, 0, 0, 0],
    ]
    const losses = [0, 3].map((label, n) => {
      const total = Math.log(logits[n].reduce((sum, z) => sum + Math.exp(z), 0))
      return smoothedLabels(4, 0.1, label).reduce((sum, p, k) => sum - p * (logits[n][k] - total), 0)
    })
    expectClose(each, losses, 'f32')
  })

  test.each([
    [0, 0.1, 0],
    [10, 0.1, 10],
    [10, 1, 0],
    [10, -0.1, 0],
    [10, 0.1, -1],
    [2.5, 0.1, 0],
  ])('of %f classes with eps %f for label %f are refused', (classes, eps, label) => {
    expect(() => smoothedLabels(classes, eps, label)).toThrow(OptionError)
  })
})
