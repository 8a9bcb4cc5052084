/**
 * Several labels per image, numbers, and grey images: each trained on drawn images from a table or from folders, exported,
 * loaded again and asked.
 */
import {
  accuracy,
  augTransforms,
  CategoryBlock,
  DataBlock,
  getImageFiles,
  grandparentSplitter,
  ImageBlock,
  Learner,
  loadLearner,
  normalize,
  parentLabel,
  RegressionBlock,
  resize,
  sampleData,
} from 'wgrad'
import { ImageLoaders, type Loaders, type TargetBlock } from 'wgrad/data'
import { ConvLayer, GlobalAvgPool, Init, Linear, Sequential } from 'wgrad/nn'
import { accuracyMulti, binaryCrossEntropy, f1ScoreMulti, mae, r2Score } from 'wgrad/train'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openQuietGpu } from './drawn-images.ts'

const platform = await openQuietGpu()
const home = mkdtempSync(join(tmpdir(), 'wgrad-targets-'))
afterAll(() => rmSync(home, { recursive: true }))

/** A network that reads the channels of the images and has the outputs that their targets need. */
function network({ outputs, train: { channels } }: Loaders): Sequential {
  const init = new Init(0)
  const model = new Sequential([
    new ConvLayer({ inChannels: channels, outChannels: 16, stride: 2, init }),
    new ConvLayer({ inChannels: 16, outChannels: 32, stride: 2, init }),
    new ConvLayer({ inChannels: 32, outChannels: 32, init }),
    new ConvLayer({ inChannels: 32, outChannels: 64, stride: 2, init }),
    new GlobalAvgPool(),
    new Linear(64, outputs, init),
  ])
  model.architecture = { name: 'network', options: { outputs, channels } }
  return model
}
const models = {
  network: (options: unknown) => {
    const { outputs, channels } = options as { outputs: number; channels: 1 | 3 }
    return network({ outputs, train: { channels } } as Loaders)
  },
}

/** Mirrors images, which no target of these depends on. */
const mirrored = augTransforms({ flipVert: true, maxRotate: 0, maxWarp: 0, maxZoom: 1, maxLighting: 0 })
const options = { batchSize: 16, seed: 1, platform, batchTransforms: [...mirrored, normalize()] }

test('several labels per image, of a table', { timeout: 300_000 }, async () => {
  const folder = await sampleData({ kind: 'labels', images: 500, home, platform })
  const loaders = await ImageLoaders.fromCsv(folder, {
    ...options,
    labelDelim: ' ',
    validColumn: 'is_valid',
    itemTransforms: [resize(48)],
  })
  const learner = new Learner(loaders, network(loaders), { metrics: [accuracyMulti(), f1ScoreMulti()] })
  await learner.fitOneCycle(10, 1e-2)
  const { f1_multi: f1, accuracy_multi: right } = (await learner.validate()).metrics
  // Everything said of every image has an F1 of 0.47, nothing said an accuracy of 0.69.
  expect(f1).toBeGreaterThan(0.65)
  expect(right).toBeGreaterThan(0.78)

  await learner.export(join(home, 'labels.safetensors'))
  const predictor = await loadLearner(join(home, 'labels.safetensors'), { platform, models })
  const { items } = loaders.valid.pictures
  const predictions = await predictor.predictAll(Array.from(loaders.valid.items, (item) => items[item]))
  const same = predictions.filter(({ text }, i) => {
    const item = loaders.valid.items[i]
    return text === loaders.target.text(loaders.valid.labels.subarray(5 * item, 5 * item + 5))
  })
  expect(same.length / predictions.length).toBeGreaterThan(0.35)
})

test('a number per image', { timeout: 300_000 }, async () => {
  const folder = await sampleData({ kind: 'numbers', images: 240, home, platform })
  const loaders = await ImageLoaders.fromCsv(folder, {
    ...options,
    labelColumn: 'area',
    targetBlock: RegressionBlock(),
    validColumn: 'is_valid',
    itemTransforms: [resize(32)],
  })
  const learner = new Learner(loaders, network(loaders), { metrics: [mae, r2Score] }).toFp16()
  await learner.fitOneCycle(8, 1e-2)
  // The mean of all areas has an R² of 0.
  expect((await learner.validate()).metrics.r2_score).toBeGreaterThan(0.7)

  await learner.export(join(home, 'area.safetensors'))
  const predictor = await loadLearner(join(home, 'area.safetensors'), { platform, models })
  const item = loaders.valid.items[0]
  const { values } = await predictor.predict(loaders.valid.pictures.items[item])
  expect(Math.abs(values![0] - loaders.valid.labels[item])).toBeLessThan(0.15)
})

test(
  'a block of one’s own: counts, each a row of "more than 1", "more than 2" and so on',
  { timeout: 300_000 },
  async () => {
    const MOST = 4
    const target = () => ({
      kind: 'count',
      vocab: [],
      columns: MOST - 1,
      encode: (_item: string, label: unknown) =>
        Array.from({ length: MOST - 1 }, (_, i) => Number(Number(label) > i + 1)),
      decode: (outputs: Float32Array) => outputs.map((probability) => Number(probability > 0.5)),
      text: (row: ArrayLike<number>) => String(1 + Array.from(row).filter((more) => more > 0.5).length),
    })
    const counts: TargetBlock = { kind: 'count', target }

    const folder = await sampleData({ kind: 'numbers', images: 240, home, platform })
    const loaders = await ImageLoaders.fromCsv(folder, {
      ...options,
      labelColumn: 'count',
      targetBlock: counts,
      validColumn: 'is_valid',
      itemTransforms: [resize(48)],
    })
    const learner = new Learner(loaders, network(loaders), { loss: binaryCrossEntropy(), metrics: [accuracyMulti()] })
    await learner.fitOneCycle(8, 1e-2)
    expect((await learner.validate()).metrics.accuracy_multi).toBeGreaterThan(0.7)

    await learner.export(join(home, 'count.safetensors'))
    const predictor = await loadLearner(join(home, 'count.safetensors'), {
      platform,
      models,
      targets: { count: target },
    })
    expect((await predictor.predict(loaders.valid.pictures.items[0])).text).toMatch(/^[1-4]$/)
  },
)

test('grey images', { timeout: 300_000 }, async () => {
  const folder = await sampleData({ kind: 'grey', images: 300, home, platform })
  const loaders = await new DataBlock({
    blocks: [ImageBlock({ channels: 1 }), CategoryBlock()],
    getItems: async (path) => (await getImageFiles(path)).filter((item) => /disc|stripes|dots/.test(parentLabel(item))),
    getY: parentLabel,
    splitter: grandparentSplitter({ valid: 'val' }),
    itemTransforms: [resize(48)],
    batchTransforms: [...mirrored, normalize()],
  }).loaders(folder, { batchSize: 12, seed: 1, platform })
  expect(await loaders.inputShape()).toEqual([12, 48, 48, 1])
  const learner = new Learner(loaders, network(loaders), { metrics: [accuracy] })
  await learner.fitOneCycle(24, 1e-2)
  // Chance is 0.33.
  expect((await learner.validate()).metrics.accuracy).toBeGreaterThan(0.45)

  await learner.export(join(home, 'grey.safetensors'))
  const predictor = await loadLearner(join(home, 'grey.safetensors'), { platform, models })
  expect(loaders.vocab).toContain((await predictor.predict(loaders.valid.pictures.items[0])).label)
})
