/**
 * Cross-validation: with few images, how good a network is depends on which are measured on. Five networks, each measured
 * on another fifth, answer for every image once; mean and deviation of their accuracies say how much to believe one.
 */
import {
  accuracy,
  CategoryBlock,
  DataBlock,
  getImageFiles,
  ImageBlock,
  Learner,
  parentLabel,
  resize,
  sampleData,
} from 'wgrad'
import { kFold } from 'wgrad/data'
import { expect, test } from 'vitest'
import { openQuietGpu, smallNetwork } from './drawn-images.ts'

const platform = await openQuietGpu()

test('every image is measured on once', async () => {
  const path = await sampleData({ images: 100, platform })
  const accuracies: number[] = []
  const measured: string[] = []
  for (const splitter of kFold(5, { stratified: parentLabel })) {
    const loaders = await new DataBlock({
      blocks: [ImageBlock(), CategoryBlock()],
      getItems: getImageFiles,
      getY: parentLabel,
      splitter,
      itemTransforms: [resize(24)],
    }).loaders(path, { batchSize: 20, seed: 1 })
    const learner = new Learner(loaders, smallNetwork(), { metrics: [accuracy] })
    await learner.fitOneCycle(1, 3e-3)
    accuracies.push((await learner.validate()).metrics.accuracy)
    measured.push(...Array.from(loaders.valid.items, (item) => loaders.valid.pictures.items[item]))
  }

  const mean = accuracies.reduce((sum, one) => sum + one / 5, 0)
  const deviation = Math.sqrt(accuracies.reduce((sum, one) => sum + (one - mean) ** 2 / 4, 0))
  expect(measured).toHaveLength(100)
  expect(new Set(measured).size).toBe(100)
  // Five accuracies of 20 images each: a network of one epoch is near to chance, and they differ by chance, too.
  expect(mean).toBeLessThan(1)
  expect(deviation).toBeLessThan(0.5)
})
