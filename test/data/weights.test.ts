import { describe, expect, test } from 'vitest'
import { CategoryBlock, ImageBlock } from '../../src/data/blocks.ts'
import { DataBlock } from '../../src/data/data-block.ts'
import type { DataBlockOptions, LoadersOptions } from '../../src/data/data-block.ts'
import { flipItem, randomResizedCrop } from '../../src/data/item-transforms.ts'
import { parentLabel } from '../../src/data/items.ts'
import { classWeights } from '../../src/data/weights.ts'
import { crossEntropy } from '../../src/train/fit/losses.ts'
import { Learner } from '../../src/train/learner.ts'
import { fakePlatform } from '../helpers/fake-platform.ts'
import { golden } from '../helpers/golden.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { memoryFiles } from '../helpers/memory-files.ts'
import { stripes, tinyModel } from '../helpers/tiny.ts'

await openTestGpu()

/** Loaders of images whose labels these are; the last of each class is measured on. */
async function loadersOf(
  labels: readonly string[],
  options: Partial<LoadersOptions> = {},
  itemTransforms: DataBlockOptions['itemTransforms'] = [],
) {
  const items = labels.map((label, i) => `set/${label}/${i}.png`)
  const valid = [...new Set(labels)].map((label) => labels.lastIndexOf(label))
  return new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: () => items,
    getY: parentLabel,
    splitter: () => ({
      train: Uint32Array.from(items.keys()).filter((item) => !valid.includes(item)),
      valid: Uint32Array.from(valid),
    }),
    itemTransforms,
  }).loaders('set', { batchSize: 4, seed: 3, platform: fakePlatform(), ...options })
}

const unbalanced = [
  ...Array<string>(91).fill('many'),
  ...Array<string>(7).fill('few'),
  ...Array<string>(5).fill('rare'),
]

describe('class weights', () => {
  const { weights } = golden<{ weights: readonly { labels: readonly string[]; weights: readonly number[] }[] }>(
    'metrics',
  )

  test.each(weights)('are those of scikit-learn, %#', async ({ labels, weights: want }) => {
    // The classes of an item more are measured on.
    const loaders = await loadersOf([...labels, ...new Set(labels)])
    const got = classWeights(loaders)
    expect(got).toHaveLength(want.length)
    got.forEach((weight, label) => expect(weight).toBeCloseTo(want[label], 12))
  })

  test('count only classes that occur', async () => {
    const { train, vocab } = await loadersOf([...Array<string>(4).fill('a'), ...Array<string>(3).fill('b')])
    expect(classWeights({ train, vocab: [...vocab, 'c'] })).toEqual([5 / (2 * 3), 5 / (2 * 2), 0])
  })

  test('make the weight of a training item 1 on average', async () => {
    const loaders = await loadersOf(unbalanced)
    const each = Array.from(loaders.train.items, (item) => classWeights(loaders)[loaders.train.labels[item]])
    expect(each.reduce((sum, weight) => sum + weight, 0) / each.length).toBeCloseTo(1, 12)
  })

  test('train a learner', async () => {
    const platform = fakePlatform({ picture: (path) => stripes(path, 16) })
    const loaders = await loadersOf(
      Array.from({ length: 15 }, (_, i) => ['across', 'across', 'across', 'slanted', 'upright'][i % 5]),
      { platform },
    )
    const learner = new Learner(loaders, tinyModel(), { loss: crossEntropy({ weight: classWeights(loaders) }) })
    await learner.fit(1)
    expect((await learner.validate()).loss).toBeGreaterThan(0)
  })
})

describe('weights of items', () => {
  const countsIn = (labels: ArrayLike<number>, order: Uint32Array) => {
    const counts = [0, 0, 0]
    for (const item of order) counts[labels[item]]++
    return counts
  }

  test('balanced: every class comes as often, in an epoch as long as it was', async () => {
    const { train, valid, vocab } = await loadersOf(unbalanced, { itemWeights: 'balanced' })
    expect(vocab).toEqual(['few', 'many', 'rare'])
    const total = [0, 0, 0]
    for (let epoch = 0; epoch < 60; epoch++) {
      const order = train.order({ epoch })
      expect(order).toHaveLength(100)
      countsIn(train.labels, order).forEach((count, label) => (total[label] += count))
    }
    // 6000 draws of probability 1/3: a standard deviation is 37.
    for (const count of total) expect(Math.abs(count - 2000)).toBeLessThan(5 * 37)
    // Every item of a class as often as the others: 90 of them share 2000 draws, 22 ± 5 each.
    expect(new Set(train.order({ epoch: 0 })).size).toBeLessThan(100)
    // What is measured on stays each item once, and so does a pass that is not shuffled.
    expect([...valid.order()]).toEqual([90, 97, 102])
    expect([...train.order({ shuffle: false })]).toEqual([...train.items])
  })

  test('a function: in proportion to its numbers, never what has none', async () => {
    const { train } = await loadersOf(['a', 'a', 'a', 'a', 'b', 'b'], {
      itemWeights: (item, label) => (label === 'b' ? 6 : item.endsWith('/0.png') ? 0 : item.endsWith('/1.png') ? 1 : 3),
    })
    const counts = new Map<number, number>()
    for (let epoch = 0; epoch < 2500; epoch++) {
      for (const item of train.order({ epoch })) counts.set(item, (counts.get(item) ?? 0) + 1)
    }
    // 10,000 draws with 1, 3 and 6 parts of ten.
    expect([...counts.keys()].sort((a, b) => a - b)).toEqual([1, 2, 4])
    for (const [item, part] of [
      [1, 0.1],
      [2, 0.3],
      [4, 0.6],
    ]) {
      expect(Math.abs(counts.get(item)! - 10_000 * part)).toBeLessThan(5 * Math.sqrt(10_000 * part * (1 - part)))
    }
  })

  test('the same seed and epoch draw the same', async () => {
    const order = async (seed: number, epoch: number) => [
      ...(await loadersOf(unbalanced, { itemWeights: 'balanced', seed })).train.order({ epoch }),
    ]
    expect(await order(3, 1)).toEqual(await order(3, 1))
    expect(await order(3, 1)).not.toEqual(await order(3, 2))
    expect(await order(3, 1)).not.toEqual(await order(4, 1))
  })

  test('an item that comes several times in an epoch is cropped and mirrored anew each time', async () => {
    const platform = fakePlatform({ picture: (path) => stripes(path, 40) })
    const labels = ['across', 'across', 'across', 'across', 'across', 'slanted', 'slanted']
    const itemWeights = (_item: string, label: string) => (label === 'slanted' ? 1 : 0)
    const transforms = [randomResizedCrop(12, { minScale: 0.1 }), flipItem()]
    const loaders = await loadersOf(labels, { itemWeights, platform }, transforms)
    const seen = async () => {
      const images: string[] = []
      for await (const { host } of loaders.train.hostBatches({ epoch: 1 })) {
        expect([...host.items]).toEqual([5, 5, 5, 5])
        for (let i = 0; i < 4; i++) images.push(host.pixels.slice(144 * i, 144 * (i + 1)).join())
      }
      return images
    }
    const images = await seen()
    expect(new Set(images).size).toBe(4)
    expect(await seen()).toEqual(images)
  })

  test('other items have no weights of these', async () => {
    const { train } = await loadersOf(unbalanced, { itemWeights: 'balanced' })
    expect(train.with({ batchSize: 2 }).itemWeights).toBe(train.itemWeights)
    expect(train.with({ items: Uint32Array.of(1, 2) }).itemWeights).toBeUndefined()
    expect(() => train.with({ items: Uint32Array.of(1, 2), itemWeights: Float64Array.of(1) })).toThrow(
      'there are not as many weights as items',
    )
  })

  test('a fit is not continued with others', async () => {
    const platform = fakePlatform({ picture: (path) => stripes(path, 16), files: memoryFiles() })
    const fit = async (options: Partial<LoadersOptions>, resume: boolean) => {
      const labels = Array.from({ length: 15 }, (_, i) => ['across', 'across', 'across', 'slanted', 'upright'][i % 5])
      const loaders = await loadersOf(labels, { platform, ...options })
      await new Learner(loaders, tinyModel()).fit(2, 1e-3, { checkpoint: 'fit.safetensors', resume })
    }
    await fit({ itemWeights: 'balanced' }, false)
    await fit({ itemWeights: 'balanced' }, true)
    await expect(fit({}, true)).rejects.toThrow('item weights')
  })

  test('weights that are none are refused', async () => {
    const made = (itemWeights: unknown) => loadersOf(unbalanced, { itemWeights: itemWeights as 'balanced' })
    await expect(made(() => -1)).rejects.toThrow(`loaders: itemWeights gives an item no weight
  item    set/many/0.png
  weight  -1
  expected a finite number from 0 on`)
    await expect(made(() => NaN)).rejects.toThrow('gives an item no weight')
    await expect(made(() => 0)).rejects.toThrow('gives every item the weight 0')
    await expect(made('balance')).rejects.toThrow("expected 'balanced', or a function")
  })
})
