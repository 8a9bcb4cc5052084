/**
 * Features of a trained network, the numbers that its last layer decides by: images with similar ones look alike, so that
 * the nearest of a collection are found, also of classes that the network was never trained on.
 */
import { Learner } from 'wgrad'
import { Sequential } from 'wgrad/nn'
import type { Loader } from 'wgrad/data'
import { noGrad, read, release, scope } from 'wgrad/tensor'
import { expect, test } from 'vitest'
import { drawnImages, openQuietGpu, smallNetwork } from './drawn-images.ts'

const platform = await openQuietGpu()

/** Features of every image of a loader, scaled to length 1, by its path. */
async function featuresOf(body: Sequential, loader: Loader): Promise<Map<string, Float32Array>> {
  const features = new Map<string, Float32Array>()
  // Running statistics in place of those of a batch.
  body.eval()
  // Images in their order, each once and without random transforms, also of a loader to train on.
  for await (const batch of loader.batches({ shuffle: false, draws: 'valid', dropLast: false })) {
    const outputs = noGrad(() => scope(() => body.forward(batch.input('f32'))))
    const rows = Float32Array.from(await read(outputs))
    const width = outputs.shape[1]
    release(outputs)
    for (let i = 0; i < batch.count; i++) {
      const row = rows.slice(i * width, (i + 1) * width)
      const length = Math.hypot(...row)
      features.set(
        loader.pictures.items[batch.items[i]],
        row.map((value) => value / length),
      )
    }
  }
  return features
}

/** Cosine of the angle between two rows of length 1. */
const likeness = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i], 0)

test('the images nearest to one are found by them', async () => {
  const loaders = await drawnImages(platform)
  const model = smallNetwork()
  const learner = new Learner(loaders, model)
  await learner.fitOneCycle(2, 1e-2)
  const before = await learner.getPredictions()

  // All layers but the last: they stand in both models, and are trained and stored as before.
  const body = new Sequential(model.layers.slice(0, -1))
  const collection = await featuresOf(body, loaders.train)
  expect(collection.size).toBe(80)

  // `loaders.test` takes any files; an image of the collection is nearest to itself.
  const [path] = collection.keys()
  const [asked] = (await featuresOf(body, loaders.test([path]))).values()
  const nearest = [...collection.keys()].sort(
    (a, b) => likeness(asked, collection.get(b)!) - likeness(asked, collection.get(a)!),
  )
  expect(nearest[0]).toBe(path)
  expect(likeness(asked, collection.get(path)!)).toBeCloseTo(1, 5)
  expect((await learner.getPredictions()).predictions).toEqual(before.predictions)
})
