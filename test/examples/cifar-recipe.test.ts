/**
 * The usual recipe for small images such as CIFAR's: crop at random after padding by four pixels, mirror, and change each
 * image by TrivialAugment, all on the CPU as torchvision does it; and a transform of your own between them.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { accuracy, CategoryBlock, cifarStats, DataBlock, flipItem, getImageFiles, grandparentSplitter } from 'wgrad'
import { ImageBlock, Learner, normalize, parentLabel, sampleData, showBatch } from 'wgrad'
import { randomCrop, trivialAugment, type Loaders, type OwnItem } from 'wgrad/data'
import type { Platform } from 'wgrad/gpu'
import { afterAll, expect, test } from 'vitest'
import { openQuietGpu, smallNetwork } from './drawn-images.ts'

const platform = await openQuietGpu()
const folder = await mkdtemp(join(tmpdir(), 'cifar-'))
afterAll(() => rm(folder, { recursive: true }))

/** Writes 32 px copies of 100 drawn images, in the folders of their classes. */
async function smallImages({ decoder, encodePng, files }: Platform): Promise<string> {
  const source = await sampleData({ images: 100, platform })
  for (const path of await getImageFiles(source, { platform })) {
    const resize = { method: 'squish', width: 32, height: 32, position: [0.5, 0.5] } as const
    const image = await decoder.decode({ path, resize })
    await files.write(join(folder, path.slice(source.length).replace(/jpg$/, 'png')), await encodePng(image))
  }
  return folder
}

/** Exchanges the colors of some images. Its random numbers are the same in every run, whatever else is random. */
const swapColors: OwnItem = {
  name: 'swapColors',
  runsOn: 'train',
  apply(image, { random }) {
    if (random.bernoulli(0.5)) return image
    const [from, to] = [random.integer(0, 2), random.integer(0, 2)]
    for (let at = 0; at < image.data.length; at += 4) {
      const value = image.data[at + from]
      image.data[at + from] = image.data[at + to]
      image.data[at + to] = value
    }
    return image
  },
}

const path = await smallImages(platform)
const loaders = (): Promise<Loaders> =>
  new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: getImageFiles,
    splitter: grandparentSplitter({ valid: 'val' }),
    getY: parentLabel,
    itemTransforms: [randomCrop(32, { padding: 4 }), flipItem(), trivialAugment(), swapColors],
    batchTransforms: [normalize(cifarStats)],
  }).loaders(path, { batchSize: 20, seed: 1, platform })

test('small images are trained on with random crops and TrivialAugment, to the same numbers in every run', async () => {
  const train = async () => {
    const learner = new Learner(await loaders(), smallNetwork(), { metrics: [accuracy] })
    await learner.fitOneCycle(4, 1e-2)
    return learner
  }
  const [learner, again] = [await train(), await train()]
  const [first, last] = [learner.recorder.rows[0], learner.recorder.rows[3]]
  expect(last.trainLoss).toBeLessThan(first.trainLoss)
  expect(again.recorder.rawLosses).toEqual(learner.recorder.rawLosses)
  expect(await learner.loaders.inputShape()).toEqual([20, 32, 32, 3])
})

test('a sheet shows one image as it is varied', async () => {
  const sheet = join(folder, 'varied.png')
  await showBatch((await loaders()).train, sheet, { count: 16, unique: true })
  expect((await platform.files.read(sheet)).length).toBeGreaterThan(1000)
})
