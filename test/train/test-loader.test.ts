import { describe, expect, test } from 'vitest'
import { DecodeError } from '../../src/base/errors.ts'
import { normalize } from '../../src/data/augment/normalize.ts'
import { augTransforms } from '../../src/data/augment/transforms.ts'
import { CategoryBlock, ImageBlock } from '../../src/data/blocks.ts'
import { DataBlock } from '../../src/data/data-block.ts'
import { resize } from '../../src/data/item-transforms.ts'
import { parentLabel } from '../../src/data/items.ts'
import { Loaders } from '../../src/data/loaders.ts'
import { batchImages } from '../../src/data/show.ts'
import { ClassificationInterpretation } from '../../src/train/results/interpretation.ts'
import { Learner } from '../../src/train/learner.ts'
import { accuracy } from '../../src/train/fit/metrics.ts'
import { resultImages } from '../../src/train/results/show-results.ts'
import { fakePlatform } from '../helpers/fake-platform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { stripes, tinyModel } from '../helpers/tiny.ts'

await openTestGpu()

/** Pictures wider than high, with transforms that draw at random in training, and statistics that are measured. */
async function tinyLearner(broken?: (path: string) => never, contents: ReadonlyMap<string, string> = new Map()) {
  const picture = (path: string) => {
    if (path.includes('broken')) broken?.(path)
    const { data } = stripes(contents.get(path) ?? path, 24)
    return { width: 24, height: 16, data: data.slice(0, 24 * 16 * 4) }
  }
  const platform = fakePlatform({ picture })
  const items = Array.from({ length: 18 }, (_, i) => `set/${['across', 'slanted', 'upright'][i % 3]}/${i}.png`)
  const block = new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: () => items,
    getY: parentLabel,
    itemTransforms: [resize(16)],
    batchTransforms: [...augTransforms(), normalize()],
    splitter: () => ({
      train: Uint32Array.from({ length: 8 }, (_, i) => i),
      valid: Uint32Array.from({ length: 10 }, (_, i) => 17 - i),
    }),
  })
  const loaders = await block.loaders('set', { batchSize: 4, seed: 1, platform })
  const paths = Array.from(loaders.valid.items, (item) => items[item])
  return { learner: new Learner(loaders, tinyModel(), { metrics: [accuracy] }), loaders, paths, platform }
}

describe('a loader of other files', () => {
  test('gives the pictures, numbers and losses that the same files have in validation', async () => {
    const { learner, loaders, paths } = await tinyLearner()
    const loader = loaders.test(paths, { labels: paths.map(parentLabel) })
    const [there, here] = [await learner.getPredictions(), await learner.getPredictions({ loader })]
    expect(here).toEqual({ ...there, items: Uint32Array.from(paths.keys()) })
    expect(here.targets.length).toBe(10)
    expect(await learner.validate(loader)).toEqual(await learner.validate())
    // Their order is kept.
    const reversed = await learner.getPredictions({ loader: loaders.test(paths.toReversed()) })
    expect([...reversed.predictions.data.slice(-3)]).toEqual([...there.predictions.data.slice(0, 3)])
  })

  test('without labels has predictions, and nothing to compare them with', async () => {
    const { learner, loaders, paths } = await tinyLearner()
    const loader = loaders.test(paths)
    const { predictions, targets, losses, items } = await learner.getPredictions({ loader })
    expect(predictions).toEqual((await learner.getPredictions()).predictions)
    expect([targets.length, losses.length, items.length]).toEqual([0, 0, 10])
    const averaged = await learner.tta({ loader })
    expect([averaged.predictions.rows, averaged.targets.length]).toEqual([10, 0])
    // Random transforms have changed them.
    expect(averaged.predictions.data).not.toEqual(predictions.data)
    expect((await batchImages(loader)).map(({ label }) => label)).toEqual(['', '', '', ''])
    const [shown] = await resultImages(learner, { loader, shuffle: false, count: 1 })
    expect(loaders.vocab).toContain(shown.predicted)
    expect(shown.label).toBe('')
  })

  test('says so where a loss or a metric is asked for', async () => {
    const { learner, loaders, paths } = await tinyLearner()
    const loader = loaders.test(paths)
    await expect(learner.validate(loader)).rejects.toThrowErrorMatchingInlineSnapshot(`
      [OptionError: validate: there are no labels to compare predictions with
        items   10
        labels  none
        Fix: pass labels: loaders.test(paths, { labels }), or ask for predictions only: learner.getPredictions({ loader })]
    `)
    const results = await learner.getPredictions({ loader })
    expect(() => accuracy(results.predictions, results.targets)).toThrow('targets and predictions differ in number')
    expect(() => new ClassificationInterpretation(results, loaders.vocab)).toThrow(
      'interpretation: there are no labels to compare predictions with',
    )
    learner.loaders = new Loaders({ ...loaders, train: loader, platform: loaders.platform })
    await expect(learner.fit(1)).rejects.toThrow('fit: there are no labels to compare predictions with')
  })

  test('lets callbacks know of predictions, and of losses only where there are any', async () => {
    const { learner, loaders, paths } = await tinyLearner()
    const heard: string[] = []
    learner.callbacks = [
      {
        name: 'listener',
        order: 0,
        afterPrediction: () => void heard.push('prediction'),
        afterLoss: () => void heard.push('loss'),
        afterBatch: () => void heard.push('batch'),
      },
    ]
    await learner.getPredictions({ loader: loaders.test(paths.slice(0, 2)) })
    expect(heard).toEqual(['prediction', 'batch'])
    await learner.getPredictions({ loader: loaders.test(['a/across/1'], { labels: ['across'] }) })
    expect(heard.slice(2)).toEqual(['prediction', 'loss', 'batch'])
  })

  test('decodes nothing that is remembered already', async () => {
    const { learner, loaders, paths, platform } = await tinyLearner()
    await learner.validate()
    const { length } = platform.decoded
    await learner.getPredictions({ loader: loaders.test(paths) })
    expect(platform.decoded.length).toBe(length)
  })

  test('sees what a file has become since it was predicted last', async () => {
    const [camera, other] = ['camera/now.png', 'x/upright/2.png']
    const contents = new Map([[camera, 'x/across/1.png']])
    const { learner, loaders } = await tinyLearner(undefined, contents)
    const predict = async (path: string) =>
      (await learner.getPredictions({ loader: loaders.test([path]) })).predictions.data
    const first = await predict(camera)
    expect(await predict(camera)).toEqual(first)
    contents.set(camera, other)
    const now = await predict(camera)
    expect(now).not.toEqual(first)
    expect(now).toEqual(await predict(other))
  })

  test('refuses a file that cannot be decoded by name, and leaves out one of a hundred', async () => {
    const { learner, loaders, paths } = await tinyLearner((path) => {
      throw new DecodeError(path, 'not an image', { expected: 'a JPEG or PNG' })
    })
    const predict = (files: readonly string[]) => learner.getPredictions({ loader: loaders.test(files) })
    await expect(predict([paths[0], 'a/broken.png', paths[1]])).rejects.toThrowErrorMatchingInlineSnapshot(`
      [DataError: data set: too many images cannot be decoded
        unreadable  1 of 3, the first of them:
         1          a/broken.png: not an image
        expected at most one in a hundred
        Fix: get the files again, or leave these out]
    `)
    const many = Array.from({ length: 100 }, (_, i) => (i === 7 ? 'a/broken.png' : paths[0]))
    const { items, predictions } = await predict(many)
    expect([...items]).toEqual([...many.keys()].filter((i) => i !== 7))
    expect(predictions.rows).toBe(99)
  })

  test('refuses labels that do not fit, and no files', async () => {
    const { loaders } = await tinyLearner()
    expect(() => loaders.test([])).toThrow('test loader: there are no files')
    expect(() => loaders.test(['a', 'b'], { labels: ['across'] })).toThrowErrorMatchingInlineSnapshot(`
      [OptionError: test loader: there are not as many labels as files
        files   2
        labels  1
        expected one for each, in their order, or none at all]
    `)
    expect(() => loaders.test(['x/wavy.png'], { labels: ['wavy'] })).toThrowErrorMatchingInlineSnapshot(`
      [DataError: x/wavy.png: the label 'wavy' is not in the vocabulary
        vocabulary  across slanted upright
        expected a label that occurs in the training items
        Fix: use another split or more items, or give the labels: CategoryBlock({ vocab }); of a file to predict leave out the label]
    `)
  })
})
