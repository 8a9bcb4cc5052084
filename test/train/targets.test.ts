/** Learners of targets that are not one class per image, from training to a file that predicts. */
import { describe, expect, test } from 'vitest'
import { ImageBlock, MultiCategoryBlock, RegressionBlock, type TargetBlock } from '../../src/data/blocks.ts'
import { mnistStats, normalize } from '../../src/data/augment/normalize.ts'
import { randomErasing } from '../../src/data/augment/erasing.ts'
import { hue } from '../../src/data/augment/colour.ts'
import { augTransforms } from '../../src/data/augment/transforms.ts'
import { DataBlock, type DataBlockOptions } from '../../src/data/data-block.ts'
import { batchImages } from '../../src/data/show.ts'
import { batchStats } from '../../src/data/statistics.ts'
import type { Targets } from '../../src/data/batch.ts'
import { categoryTarget, regressionTarget } from '../../src/data/targets.ts'
import { inGrey } from '../../src/image/grey.ts'
import type { Pixels } from '../../src/image/pixels.ts'
import { ConvLayer } from '../../src/nn/conv-layer.ts'
import { Init } from '../../src/nn/init.ts'
import { Linear } from '../../src/nn/linear.ts'
import { GlobalAvgPool } from '../../src/nn/pool.ts'
import { Sequential } from '../../src/nn/sequential.ts'
import { xresnet18 } from '../../src/nn/xresnet.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { scope } from '../../src/tensor/scope.ts'
import { mixUp } from '../../src/train/callbacks/mixup.ts'
import { loadLearner } from '../../src/train/files/export.ts'
import {
  binaryCrossEntropy,
  crossEntropy,
  huberLoss,
  l1Loss,
  mseLoss,
  smoothL1Loss,
} from '../../src/train/fit/losses.ts'
import { accuracy } from '../../src/train/fit/metrics.ts'
import { accuracyMulti, f1ScoreMulti, mae, r2Score, rmse } from '../../src/train/fit/target-metrics.ts'
import { Learner } from '../../src/train/learner.ts'
import type { LearnerOptions } from '../../src/train/learner-options.ts'
import { cleaningList } from '../../src/train/results/cleaning-list.ts'
import { ClassificationInterpretation } from '../../src/train/results/interpretation.ts'
import { resultImages, topLossImages } from '../../src/train/results/show-results.ts'
import { TargetInterpretation } from '../../src/train/results/target-interpretation.ts'
import { suggestThreshold } from '../../src/train/results/threshold.ts'
import { visionLearner } from '../../src/train/vision-learner.ts'
import { fakePlatform } from '../helpers/fake-platform.ts'
import { memoryFiles } from '../helpers/memory-files.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { expectClose } from '../../src/testing/close.ts'
import { rng } from '../../src/base/rng.ts'

await openTestGpu()

const COLORS = ['blue', 'green', 'red']
const COUNT = 40

/** Number of an item. */
const numberOf = (item: string) => Number(/(\d+)\.png/.exec(item)?.[1])
/** Colors of an item: any of three, or none. */
const colorsOf = (item: string) => COLORS.filter((_, color) => numberOf(item) & (1 << color))
/** Lightness of an item, 0 … 1. */
const lightOf = (item: string) => (numberOf(item) % 11) / 10

/** Image whose channels are bright where the item has their color, with noise. */
function colored(path: string): Pixels {
  const random = rng(3, path)
  const has = COLORS.map((color) => (colorsOf(path).includes(color) ? 180 : 40)).reverse()
  return picture((c) => has[c] + random.uniform(-30, 30))
}

function light(path: string): Pixels {
  const random = rng(4, path)
  return picture(() => 20 + 200 * lightOf(path) + random.uniform(-15, 15))
}

function deviation(values: ArrayLike<number>): number {
  const all = Array.from(values)
  const mean = all.reduce((sum, value) => sum + value, 0) / all.length
  return Math.sqrt(all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / all.length)
}

function picture(value: (channel: number) => number): Pixels {
  const data = Uint8Array.from({ length: 12 * 12 * 4 }, (_, i) => (i % 4 === 3 ? 255 : value(i % 4)))
  return { width: 12, height: 12, data }
}

async function loadersOf(
  block: TargetBlock,
  getY: (item: string) => unknown,
  draw: (path: string) => Pixels,
  changes: Partial<DataBlockOptions> = {},
) {
  const encodePng = async () => Uint8Array.of(1)
  const platform = { ...fakePlatform({ picture: draw, files: memoryFiles() }), encodePng }
  const loaders = await new DataBlock({
    blocks: [ImageBlock(), block],
    getItems: () => Array.from({ length: COUNT }, (_, i) => `set/${i}.png`),
    getY,
    splitter: () => ({
      train: Uint32Array.from({ length: 32 }, (_, i) => i),
      valid: Uint32Array.from({ length: 8 }, (_, i) => 32 + i),
    }),
    batchTransforms: [normalize()],
    ...changes,
  }).loaders('set', { batchSize: 8, seed: 2, platform })
  return { loaders, platform }
}

function model(outputs: number, channels = 3): Sequential {
  const init = new Init(0)
  const made = new Sequential([
    new ConvLayer({ inChannels: channels, outChannels: 8, stride: 2, init }),
    new GlobalAvgPool(),
    new Linear(8, outputs, init),
  ])
  made.architecture = { name: 'small', options: { outputs, channels } }
  return made
}
const models = {
  small: (options: unknown) =>
    model((options as { outputs: number }).outputs, (options as { channels: number }).channels),
}

async function labelLearner(options: LearnerOptions = {}) {
  const { loaders, platform } = await loadersOf(MultiCategoryBlock(), colorsOf, colored)
  return { learner: new Learner(loaders, model(loaders.outputs), options), loaders, platform }
}

async function numberLearner(options: LearnerOptions = {}) {
  const { loaders, platform } = await loadersOf(RegressionBlock(), lightOf, light)
  return { learner: new Learner(loaders, model(loaders.outputs), options), loaders, platform }
}

describe('several labels per image', () => {
  test.each(['f32', 'mixed'])('are learnt, and said by an exported file, %s', async (precision) => {
    const { learner, loaders, platform } = await labelLearner({ metrics: [accuracyMulti(), f1ScoreMulti()] })
    expect(learner.loss.name).toBe('binaryCrossEntropy')
    if (precision === 'mixed') learner.toFp16()
    await learner.fitOneCycle(20, 3e-2)
    const { metrics } = await learner.validate()
    expect(metrics.f1_multi).toBeGreaterThan(0.95)

    const { predictions, targets } = await learner.getPredictions()
    expect(predictions.columns).toBe(3)
    expect([...targets]).toEqual(
      Array.from(loaders.valid.items, (item) => COLORS.map((_, c) => (item >> c) & 1)).flat(),
    )
    expect(accuracyMulti({ sigmoid: false })(predictions, targets)).toBe(metrics.accuracy_multi)

    const own = await learner.predict('set/37.png')
    expect(own).toMatchObject({ labels: ['blue', 'red'], text: 'blue;red', isKnown: true })
    expect([...own.values!]).toEqual([1, 0, 1])
    expect(own.probabilities.reduce((sum, value) => sum + value, 0)).toBeGreaterThan(1.3)
    expect(await learner.predict('set/8.png')).toMatchObject({ labels: [], label: undefined, isKnown: false, text: '' })

    const predictor = await loadLearner(await learner.exportBytes(), { platform, models })
    const loaded = await predictor.predict('set/37.png')
    expect(loaded.labels).toEqual(['blue', 'red'])
    expectClose(loaded.probabilities, own.probabilities, precision === 'mixed' ? 'f16' : 'f32', { roundings: 8 })
    expect((await predictor.predict('set/37.png', { threshold: 0 })).labels).toEqual(COLORS)
    expect((await predictor.predict('set/37.png', { tta: 2 })).labels).toEqual(['blue', 'red'])
  })

  test('have results to look at', async () => {
    const { learner } = await labelLearner()
    await learner.fitOneCycle(6, 3e-2)
    const shown = await resultImages(learner, { shuffle: false, count: 6 })
    expect(shown.map(({ label }) => label)).toEqual(['', 'blue', 'green', 'blue;green', 'red', 'blue;red'])
    expect(shown.filter(({ label, predicted }) => label === predicted).length).toBeGreaterThan(4)
    const [worst, ...others] = await topLossImages(learner, { count: 8 })
    expect(worst.note).toMatch(/^\d+\.\d\d$/)
    expect(others.every(({ note }) => Number(note) <= Number(worst.note))).toBe(true)
    const { predictions } = await learner.tta({ n: 2 })
    expect(predictions.data.every((value) => value >= 0 && value <= 1)).toBe(true)
    // Labels are shown that are above the threshold of the loss, here all of them.
    const { learner: any } = await labelLearner({ loss: binaryCrossEntropy({ threshold: 1e-9 }) })
    expect((await resultImages(any, { count: 1 })).map(({ predicted }) => predicted)).toEqual([COLORS.join(';')])
  })

  test('the threshold of the loss is that of predictions and of the file', async () => {
    const { learner, platform } = await labelLearner({ loss: binaryCrossEntropy({ threshold: 0 }) })
    expect((await learner.predict('set/0.png')).labels).toEqual(COLORS)
    const predictor = await loadLearner(await learner.exportBytes(), { platform, models })
    expect(predictor.threshold).toBe(0)
    expect((await loadLearner(await learner.exportBytes({ threshold: 0.9 }), { platform, models })).threshold).toBe(0.9)
  })

  test('weights of labels change the loss', async () => {
    const { learner } = await labelLearner()
    const plain = (await learner.validate()).loss
    const of = async (loss: ReturnType<typeof binaryCrossEntropy>) => {
      learner.loss = loss
      return (await learner.validate()).loss
    }
    expect(await of(binaryCrossEntropy({ weight: [2, 2, 2] }))).toBeCloseTo(2 * plain, 5)
    expect(await of(binaryCrossEntropy({ posWeight: [1, 1, 1] }))).toBeCloseTo(plain, 6)
    expect(await of(binaryCrossEntropy({ posWeight: [9, 1, 1] }))).toBeGreaterThan(plain)
    expect(() => binaryCrossEntropy({ weight: [-1] })).toThrow('weight[0] is out of range')
    expect(() => binaryCrossEntropy({ posWeight: [0, NaN] })).toThrow('posWeight[1] is out of range')
    expect(() => binaryCrossEntropy({ threshold: 1.5 })).toThrow('threshold is out of range')
  })

  test('mixup mixes their numbers, as fastai', async () => {
    const { learner, loaders } = await labelLearner({ callbacks: [mixUp(0.4)] })
    const seen: { readonly mixed: number[]; readonly plain: number[] }[] = []
    const reads: Promise<unknown>[] = []
    learner.callbacks = [
      ...learner.callbacks,
      {
        name: 'watch',
        order: 1,
        runsOn: 'train',
        beforeBatch(_state, { targets, batch }) {
          expect(targets.b).toBeUndefined()
          const plain = [...batch.labels]
          reads.push(read(targets.a).then((mixed) => seen.push({ mixed: [...mixed], plain })))
        },
      },
    ]
    await learner.fit(1, 1e-3)
    await Promise.all(reads)
    expect(seen).toHaveLength(loaders.train.batchCount)
    for (const { mixed, plain } of seen) {
      expect(mixed).not.toEqual(plain)
      // A weight is at least ½, so that no number is nearer to the partner's.
      expect(mixed.every((value, i) => Math.abs(value - plain[i]) <= 0.5)).toBe(true)
    }
  })

  test('what is of classes only says so', async () => {
    const { learner, loaders } = await labelLearner()
    const results = await learner.getPredictions()
    expect(() => new ClassificationInterpretation(results, loaders.vocab)).toThrowErrorMatchingInlineSnapshot(`
      [OptionError: interpretation: this is for targets of one class per image
        targets  24 numbers
        expected predictions for loaders with a CategoryBlock
        Fix: plotTopLosses and showResults are for every kind of targets]
    `)
    await expect(cleaningList(learner)).rejects.toThrow('cleaningList: this is for targets of one class per image')
    expect(() => suggestThreshold(results)).toThrow('give a threshold yourself')
    expect(() => accuracy(results.predictions, results.targets)).toThrow('use accuracyMulti()')
    learner.loss = crossEntropy()
    await expect(learner.fit(1)).rejects.toThrowErrorMatchingInlineSnapshot(`
      [OptionError: loss crossEntropy: it compares outputs with classes, and the loaders have numbers
        targets  multiCategory
        outputs  3
        Fix: use binaryCrossEntropy() for labels, mseLoss() or l1Loss() for numbers, or leave the loss out]
    `)
    const other = new Learner(loaders, model(5))
    await expect(other.fit(1)).rejects.toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: learner: the model has not as many outputs as a target has numbers
        outputs  [8,5] f32
        targets  multiCategory, 3 each
        expected [N,3]
        Fix: build the model with as many outputs: xresnet18({ outputs: loaders.outputs })]
    `)
  })

  test('are evaluated and reported', async () => {
    const { learner, loaders } = await labelLearner({ metrics: [accuracyMulti()] })
    await learner.fitOneCycle(4, 3e-2)
    const results = await learner.getPredictions()
    const evaluated = new TargetInterpretation(results, loaders.target, { threshold: 0.4 })
    const how = { sigmoid: false, threshold: 0.4 }
    const { accuracy: all, f1, f1Micro, exact, exactLow, exactHigh } = evaluated.scores()
    const { predictions, targets } = results
    expect(all).toBe(accuracyMulti(how)(predictions, targets))
    expect(f1).toBe(f1ScoreMulti(how)(predictions, targets))
    expect(f1Micro).toBe(f1ScoreMulti({ ...how, average: 'micro' })(predictions, targets))
    const rights = Array.from({ length: 8 }, (_, row) =>
      COLORS.every((_, i) => predictions.data[3 * row + i] > 0.4 === targets[3 * row + i] > 0.5),
    )
    expect(exact).toBe(rights.filter(Boolean).length / 8)
    expect(exactLow <= exact && exact <= exactHigh).toBe(true)
    const scores = evaluated.labelScores()
    expect(scores.map(({ name }) => name)).toEqual(COLORS)
    expect(scores.reduce((sum, one) => sum + one.f1, 0) / 3).toBeCloseTo(f1, 6)
    expect(evaluated.topLosses(2).map(({ loss }) => loss)).toEqual(
      [...results.losses].sort((a, b) => b - a).slice(0, 2),
    )
    // Those with every label right are not among the most wrong.
    expect(evaluated.mostWrong(8)).toHaveLength(rights.filter((right) => !right).length)
    const strict = new TargetInterpretation(results, loaders.target, { threshold: 0.999 })
    expect(strict.mostWrong(8).map(({ item }) => item)).toEqual(
      strict.topLosses(8).flatMap(({ item, actual }) => (actual === 'no label' ? [] : [item])),
    )
    expect(evaluated.report()).toMatch(/\nblue +\d/)
    const report = await learner.report()
    for (const part of ['3 labels', 'All labels right in', '>blue<', 'accuracy_multi']) expect(report).toContain(part)
    expect(() => new TargetInterpretation({ ...results, targets: new Float32Array(0) }, loaders.target)).toThrow(
      'no targets to compare predictions with',
    )
    expect(() => new TargetInterpretation(results, categoryTarget(['a', 'b']))).toThrow(
      'use ClassificationInterpretation',
    )
  })

  test('a fit is resumed, and not with other labels', async () => {
    const { learner, loaders, platform } = await labelLearner()
    await learner.fit(2, 1e-3, { checkpoint: 'fit.safetensors' })
    const again = new Learner(loaders, model(3))
    await again.fit(2, 1e-3, { checkpoint: 'fit.safetensors', resume: true })
    expect((await again.validate()).loss).toBe((await learner.validate()).loss)
    const others = (await loadersOf(MultiCategoryBlock(), (item) => colorsOf(item).slice(0, 1), colored)).loaders
    Object.assign(others, { platform })
    await expect(
      new Learner(others, model(3)).fit(2, 1e-3, { checkpoint: 'fit.safetensors', resume: true }),
    ).rejects.toThrow('this is the checkpoint of another fit')
  })
})

describe('numbers', () => {
  test.each([undefined, l1Loss(), huberLoss({ delta: 0.5 }), smoothL1Loss()])('are learnt, loss %#', async (loss) => {
    const { learner, platform } = await numberLearner({ metrics: [mae, rmse, r2Score], ...(loss && { loss }) })
    if (!loss) expect(learner.loss.name).toBe('mseLoss')
    await learner.fitOneCycle(40, 2e-2)
    const { metrics } = await learner.validate()
    expect(metrics.mae).toBeLessThan(0.13)
    expect(metrics.r2_score).toBeGreaterThan(0.8)
    const own = await learner.predict('set/37.png')
    expect(own).toMatchObject({ label: undefined, labels: [], isKnown: true, probability: NaN, top: [] })
    expect(own.values![0]).toBeCloseTo(lightOf('37.png'), 0)
    expect(Number(own.text)).toBeCloseTo(own.values![0], 3)
    const predictor = await loadLearner(await learner.exportBytes(), { platform, models })
    expectClose((await predictor.predict('set/37.png')).values!, own.values!, 'f32')
    await expect(learner.exportBytes({ threshold: 0.5 })).rejects.toThrow('have no threshold')
    const [first] = await resultImages(learner, { shuffle: false })
    expect(first.predicted).toBeUndefined()
    expect(first.note).toMatch(/^predicted -?\d/)
  })

  test('with units and names of their own: loss, range of the outputs, evaluation and report', async () => {
    const points = (item: string) => [1000 * lightOf(item), lightOf(item) / 100]
    const { loaders, platform } = await loadersOf(RegressionBlock({ names: ['far', 'near'] }), points, light)
    const loss = mseLoss({ scale: [1000, 0.01] })
    const outputs = tensor([1, 2, 500, 0.005], [2, 2])
    const targets = { a: tensor([1, 1, 0, 0], [2, 2]) } as Targets
    const each = scope(() => loss.each(outputs, targets))
    expectClose(await read(each), [(0 + 1e4) / 2, (0.25 + 0.25) / 2], 'f32')
    expect(() => mseLoss({ scale: [0] })).toThrow('scale[0] is out of range')
    const yRange = [
      [-100, -0.001],
      [1100, 0.011],
    ] as const
    const learner = await visionLearner(loaders, xresnet18, {
      loss,
      yRange,
      hidden: 16,
      dropout: 0,
      body: { widen: 0.125 },
    })
    await learner.toFp16().fitOneCycle(6, 1e-2)
    const results = await learner.getPredictions()
    const interpretation = new TargetInterpretation(results, loaders.target)
    const [far, near] = interpretation.numberErrors()
    expect([far.name, near.name]).toEqual(['far', 'near'])
    expect(far.r2).toBeGreaterThan(0.5)
    expect(interpretation.scores().mae).toBeCloseTo((far.mae + near.mae) / 2, 3)
    expect(far.baseline).toBeCloseTo(deviation(results.targets.filter((_, i) => i % 2 === 0)), 2)
    expect(interpretation.topLosses(1)[0].actual).toMatch(/^far \d+, near [\d.]+$/)
    expect(interpretation.report()).toMatch(/^mean absolute error .*\n\n.*\nfar +/)
    const report = await learner.report()
    for (const part of ['visionModel, numbers', 'Largest losses', '>near<', 'mseLoss']) expect(report).toContain(part)
    const predictor = await loadLearner(await learner.exportBytes(), { platform })
    expect((await predictor.predict('set/5.png')).text).toMatch(/^far -?[\d.]+, near -?[\d.e-]+$/)
    expect(() => RegressionBlock({ columns: 3, names: ['a'] })).toThrow('there is not one name for each number')
  })

  test('of a target of one’s own are exported with its kind', async () => {
    const percent: TargetBlock = { kind: 'percent', target: () => percentTarget() }
    const percentTarget = () => ({
      ...regressionTarget(1),
      kind: 'percent',
      text: ([value]: ArrayLike<number> & Iterable<number>) => `${Math.round(100 * value)}%`,
    })
    const { loaders, platform } = await loadersOf(percent, lightOf, light)
    const learner = new Learner(loaders, model(1))
    await learner.fitOneCycle(4, 3e-2)
    const bytes = await learner.exportBytes()
    await expect(loadLearner(bytes, { platform, models })).rejects.toThrow("targets of the kind 'percent' are unknown")
    const predictor = await loadLearner(bytes, { platform, models, targets: { percent: percentTarget } })
    expect((await predictor.predict('set/5.png')).text).toMatch(/^-?\d+%$/)
  })
})

describe('grey images', () => {
  const grey = (changes: Partial<DataBlockOptions> = {}) =>
    // The platform's decoder decodes in grey; this one is made up.
    loadersOf(RegressionBlock(), lightOf, (path) => inGrey(light(path)), {
      blocks: [ImageBlock({ channels: 1 }), RegressionBlock()],
      ...changes,
    })

  test('have one channel from the loader to the exported file', async () => {
    const { loaders, platform } = await grey({
      batchTransforms: [...augTransforms(), normalize(mnistStats), randomErasing()],
    })
    expect(await loaders.inputShape()).toEqual([8, 12, 12, 1])
    expect(platform.decoded[0].decoding).toMatchObject({ channels: 1 })
    const batch = await loaders.valid.oneBatch()
    const input = batch.input('f32')
    const [first] = await read(input)
    const { data } = inGrey(light('set/32.png'))
    expect(first).toBeCloseTo((data[0] / 255 - 0.131) / 0.308, 5)
    batch.release()
    const [{ image }] = await batchImages(loaders.valid)
    expect([...image.data.slice(0, 4)].map((value) => Math.abs(value - data[0]) <= 1)).toEqual([
      true,
      true,
      true,
      false,
    ])
    expect(image.data[0]).toBe(image.data[2])

    const learner = new Learner(loaders, model(1, 1), { metrics: [mae] })
    await learner.fitOneCycle(30, 2e-2)
    expect((await learner.validate()).metrics.mae).toBeLessThan(0.15)
    const predictor = await loadLearner(await learner.exportBytes(), { platform, models })
    expect(predictor.channels).toBe(1)
    // Pixels in color become grey first.
    const [ofColor, ofGrey] = [
      await predictor.predict(light('set/7.png')),
      await predictor.predict(inGrey(light('set/7.png'))),
    ]
    expectClose(ofColor.values!, ofGrey.values!, 'f32')
    expect((await learner.exportOnnxBytes()).byteLength).toBeGreaterThan(500)
  })

  test('are measured and shown', async () => {
    const { loaders } = await grey()
    const { mean, std } = await batchStats(loaders.train)
    expect(mean).toHaveLength(1)
    expect(mean[0]).toBeCloseTo(0, 4)
    expect(std[0]).toBeCloseTo(1, 4)
  })

  test('xresnet and visionLearner read one channel', async () => {
    const { loaders } = await grey()
    const learner = new Learner(loaders, xresnet18({ channels: 1, outputs: 1, widen: 0.125 }))
    await learner.fit(1, 1e-3)
    const vision = await visionLearner(loaders, xresnet18, { body: { widen: 0.125 }, hidden: 8 })
    expect((await vision.summary()).split('\n')[0]).toBe('input [8,12,12,1], f32')
  })

  test('have no colors, and statistics of their own', async () => {
    await expect(grey({ batchTransforms: [hue()] })).rejects.toThrowErrorMatchingInlineSnapshot(`
      [OptionError: batch transforms: grey images have no hue
        channels  1
        Fix: leave hue() out]
    `)
    await expect(grey({ batchTransforms: [normalize({ mean: [0, 0, 0], std: [1, 1, 1] })] })).rejects
      .toThrowErrorMatchingInlineSnapshot(`
      [OptionError: normalize: the statistics are of other channels than the images
        mean      [0,0,0]
        channels  1
        expected 1 mean and deviation
        Fix: normalize(mnistStats), or normalize() to measure them]
    `)
    expect(() => normalize({ mean: [0, 0, 0], std: [1] })).toThrow('or one of grey images')
  })
})
