import { expect, test } from 'vitest'
import { DataError } from '../../../src/base/errors.ts'
import { CategoryBlock, ImageBlock } from '../../../src/data/blocks.ts'
import { DataBlock } from '../../../src/data/data-block.ts'
import { parentLabel } from '../../../src/data/items.ts'
import { normalize } from '../../../src/data/augment/normalize.ts'
import { augTransforms } from '../../../src/data/augment/transforms.ts'
import { sheetPixels } from '../../../src/data/contact-sheet.ts'
import { decodePng, encodePng } from '../../../src/platform/node/png.ts'
import { Learner } from '../../../src/train/learner.ts'
import { argmax } from '../../../src/train/fit/metrics.ts'
import { ClassificationInterpretation } from '../../../src/train/results/interpretation.ts'
import { resultImages, showResults, plotTopLosses, topLossImages } from '../../../src/train/results/show-results.ts'
import { fakePlatform } from '../../helpers/fake-platform.ts'
import { expectNothingLeft, openTestGpu } from '../../helpers/gpu.ts'
import { memoryFiles } from '../../helpers/memory-files.ts'
import { stripes, tinyLoaders, tinyModel } from '../../helpers/tiny.ts'

const gpu = await openTestGpu()

const SIZE = 48

async function tinyLearner({ outputs = 3, seed = 0 } = {}) {
  const files = memoryFiles()
  const platform = Object.defineProperty(fakePlatform({ picture: (path) => stripes(path, SIZE), files }), 'encodePng', {
    value: encodePng,
  })
  const batchTransforms = [...augTransforms(), normalize({ mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] })]
  const loaders = await tinyLoaders({ train: 8, valid: 22, batchSize: 12, size: SIZE, platform, batchTransforms })
  return { learner: new Learner(loaders, tinyModel({ outputs, seed })), loaders, files }
}

/** The item that a picture is of: the one whose file is the nearest. */
function itemOf(data: Uint8Array, paths: readonly string[]): number {
  const distances = paths.map((path) =>
    stripes(path, SIZE).data.reduce((sum, value, i) => sum + Math.abs(value - data[i]), 0),
  )
  const nearest = distances.indexOf(Math.min(...distances))
  expect(distances[nearest] / data.length).toBeLessThan(1)
  return nearest
}

test('validation pictures, unchanged, above their label and what the learner predicts for them', async () => {
  const {
    learner,
    loaders: { valid, vocab },
  } = await tinyLearner()
  const { predictions, items, targets } = await learner.getPredictions()
  const predicted = argmax(predictions)
  // Some are right and some are wrong, so that the two lines cannot be mistaken for each other.
  const right = targets.filter((target, row) => target === predicted[row]).length
  expect([right > 0, right < targets.length]).toEqual([true, true])

  const shown = await resultImages(learner)
  expect(shown.length).toBe(9)
  const rows = shown.map(({ image }) => items.indexOf(itemOf(image.data, valid.pictures.items)))
  expect(new Set(rows).size).toBe(9)
  expect(shown.map(({ label }) => label)).toEqual(rows.map((row) => vocab[targets[row]]))
  expect(shown.map((tile) => tile.predicted)).toEqual(rows.map((row) => vocab[predicted[row]]))
  // Shuffled, and otherwise the first.
  const names = (tiles: typeof shown) => tiles.map(({ image }) => itemOf(image.data, valid.pictures.items))
  expect(names(await resultImages(learner))).toEqual(names(shown))
  expect(names(await resultImages(learner, { epoch: 1 }))).not.toEqual(names(shown))
  expect(names(await resultImages(learner, { shuffle: false, count: 4 }))).toEqual([...valid.items].slice(0, 4))
})

test('of a network that has diverged is never right', async () => {
  const { learner } = await tinyLearner()
  for (const parameter of learner.model.parameters()) parameter.write(new Float32Array(parameter.count).fill(NaN))
  const shown = [...(await resultImages(learner)), ...(await topLossImages(learner))]
  expect(new Set(shown.map(({ predicted }) => predicted))).toEqual(new Set(['not a number']))
})

test('no image is shown with what is said of another, where a file is gone meanwhile', async () => {
  let decoded = 0
  const picture = (path: string) => {
    if (path === 'set/upright/11.png' && ++decoded === 2) throw new DataError(path, 'no such file')
    return stripes(path, SIZE)
  }
  const items = Array.from({ length: 14 }, (_, i) => `set/${['across', 'slanted', 'upright'][i % 3]}/${i}.png`)
  const platform = fakePlatform({ picture })
  const loaders = await new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: () => items,
    getY: parentLabel,
    splitter: () => ({ train: Uint32Array.from({ length: 8 }, (_, i) => i), valid: [8, 9, 10, 11, 12, 13] }),
  }).loaders('set', { batchSize: 8, platform, cacheBytes: 0 })
  const learner = new Learner(loaders, tinyModel())
  const gone = 'a file could not be read'
  // First all are read, then one is not, as it is in the other order of reading.
  await expect(topLossImages(learner)).rejects.toThrow(gone)
  decoded = 1
  await expect(resultImages(learner, { shuffle: false })).rejects.toThrow(gone)
  expect((await topLossImages(learner)).length).toBe(6)
})

test('is written as a PNG or an SVG', async () => {
  const { learner, files } = await tinyLearner()
  await showResults(learner, 'results.png', { count: 5 })
  const shown = await resultImages(learner, { count: 5 })
  expect(decodePng(await files.read('results.png'))).toEqual(await sheetPixels(shown, learner.platform))
  await showResults(learner, 'results.svg', { count: 5 })
  expect(await files.readText('results.svg')).toContain(`>${shown[0].predicted}</text>`)
})

test('the largest losses, in their order, with label, prediction, loss and probability', async () => {
  const { learner, loaders, files } = await tinyLearner({ seed: 1 })
  const interpretation = new ClassificationInterpretation(await learner.getPredictions(), loaders.vocab)
  const shown = await topLossImages(learner, { count: 22 })
  const top = interpretation.topLosses()
  // Not all of one class, so that each has a probability of its own.
  expect(new Set(top.map(({ predicted }) => predicted)).size).toBeGreaterThan(1)
  const { items } = loaders.valid.pictures
  expect(shown.map(({ image }) => itemOf(image.data, items))).toEqual(top.map(({ item }) => item))
  expect(shown.map(({ label, predicted, note }) => [label, predicted, note])).toEqual(
    top.map(({ actual, predicted, loss, probability }) => [
      actual,
      predicted,
      `${loss.toFixed(2)} / ${(100 * probability).toFixed(1)}%`,
    ]),
  )
  const [best] = await topLossImages(learner, { count: 1, largest: false })
  expect(best.note).toContain(interpretation.topLosses(1, { largest: false })[0].loss.toFixed(2))
  await plotTopLosses(learner, 'top.html', { count: 2 })
  const html = await files.readText('top.html')
  expect(html.match(/<figure/g)).toHaveLength(2)
  expect(html).toContain(`title="${items[top[0].item]}"`)
  await expect(plotTopLosses(learner, 'top.txt')).rejects.toThrow('plotTopLosses: the extension does not match')
  await expect(plotTopLosses(learner, 'top.png', { k: 3 } as object)).rejects.toThrow("there is no option 'k'")
})

test('an output beyond the vocabulary has a number, and a batch is all that is shown', async () => {
  const { learner, loaders } = await tinyLearner({ outputs: 40 })
  const shown = await resultImages(learner, { count: 99, loader: loaders.valid })
  expect(shown.length).toBe(12)
  expect(shown.some(({ predicted }) => /^output \d+$/.test(predicted ?? ''))).toBe(true)
})

test('pictures of the training loader are not transformed at random, and nothing is left behind', async () => {
  const {
    learner,
    loaders: { train },
  } = await tinyLearner()
  await resultImages(learner, { loader: train })
  await gpu.queue.finished()
  const { usedBytes } = gpu.buffers
  const shown = await resultImages(learner, { loader: train })
  for (const { image } of shown) itemOf(image.data, train.pictures.items)
  expect(shown.length).toBe(8)
  await expectNothingLeft(gpu, usedBytes)
})

test('refuses what is no count, and a file of another kind', async () => {
  const { learner } = await tinyLearner()
  await expect(showResults(learner, 'x.jpg')).rejects.toThrow(
    'showResults: the extension does not match a format that is written',
  )
  await expect(showResults(learner, 'x.png', { count: 1.5 })).rejects.toThrow('showResults: count is out of range')
})
