import { describe, expect, test } from 'vitest'
import {
  CategoryBlock,
  ImageBlock,
  MultiCategoryBlock,
  RegressionBlock,
  type TargetBlock,
} from '../../src/data/blocks.ts'
import { DataBlock, type LoadersOptions } from '../../src/data/data-block.ts'
import { ImageLoaders } from '../../src/data/image-loaders.ts'
import { getImagesFromCsv } from '../../src/data/image-table.ts'
import { batchImages } from '../../src/data/show.ts'
import { rowOf } from '../../src/data/targets.ts'
import { classWeights } from '../../src/data/weights.ts'
import { read } from '../../src/tensor/read-write.ts'
import { fakePlatform } from '../helpers/fake-platform.ts'
import { memoryFiles } from '../helpers/memory-files.ts'
import { openTestGpu } from '../helpers/gpu.ts'

await openTestGpu()

/** Loaders of items with these labels, the last two measured on. */
async function loadersOf(block: TargetBlock, labels: readonly unknown[], options: LoadersOptions = {}) {
  const platform = fakePlatform()
  const items = labels.map((_, i) => `${i}.png`)
  const loaders = await new DataBlock({
    blocks: [ImageBlock(), block],
    getItems: () => items,
    getY: (item) => labels[items.indexOf(item)],
    splitter: () => ({
      train: Uint32Array.from(items.slice(2).keys()),
      valid: Uint32Array.of(items.length - 2, items.length - 1),
    }),
  }).loaders('set', { batchSize: 2, seed: 1, platform, ...options })
  return { loaders, lines: platform.lines }
}

const tags = [['b', 'a'], ['c'], [], ['a'], ['a', 'c'], ['b']]

describe('several labels per image', () => {
  test('are rows of 0 and 1 in the order of the sorted vocabulary, as in fastai', async () => {
    const { loaders, lines } = await loadersOf(MultiCategoryBlock(), tags)
    expect([loaders.vocab, loaders.outputs]).toEqual([['a', 'b', 'c'], 3])
    const { labels, target } = loaders.train
    expect(tags.map((_, item) => [...rowOf(labels, target, item)])).toEqual([
      [1, 1, 0],
      [0, 0, 1],
      [0, 0, 0],
      [1, 0, 0],
      [1, 0, 1],
      [0, 1, 0],
    ])
    expect(lines).toEqual([
      '4 images to train on, 2 to measure on: a 2 + 1, b 1 + 1, c 1 + 1; 1 to train on without any label',
    ])
  })

  test('reach the GPU as numbers, in the order of the batch', async () => {
    const { loaders } = await loadersOf(MultiCategoryBlock(), tags)
    let batches = 0
    for await (const batch of loaders.valid.batches()) {
      batches++
      expect(batch.targets.a).toMatchObject({ shape: [2, 3], dtype: 'f32' })
      expect([...(await read(batch.targets.a))]).toEqual([1, 0, 1, 0, 1, 0])
      expect([...batch.labels]).toEqual([1, 0, 1, 0, 1, 0])
    }
    expect(batches).toBe(1)
    expect((await batchImages(loaders.valid)).map(({ label }) => label)).toEqual(['a;c', 'b'])
  })

  test('take a vocabulary, other labels as #na#, and rows that are encoded already', async () => {
    const given = await loadersOf(MultiCategoryBlock({ vocab: ['c', 'b', 'a', 'd'] }), tags)
    expect([...rowOf(given.loaders.train.labels, given.loaders.train.target, 0)]).toEqual([0, 1, 1, 0])
    const other = [...tags.slice(0, 5), ['zebra']]
    await expect(loadersOf(MultiCategoryBlock(), other)).rejects.toThrowErrorMatchingInlineSnapshot(`
      [DataError: 5.png: the label 'zebra' is not in the vocabulary
        vocabulary  a b c
        expected a label that occurs in the training items
        Fix: use another split or more items, or give the labels: MultiCategoryBlock({ vocab }); of a file to predict leave out the label]
    `)
    const { loaders } = await loadersOf(MultiCategoryBlock({ addNa: true }), other)
    expect(loaders.vocab).toEqual(['#na#', 'a', 'b', 'c'])
    expect(loaders.train.target.text(rowOf(loaders.valid.labels, loaders.valid.target, 5))).toBe('#na#')
    const rows = tags.map((_, i) => [i % 2, 1])
    const encoded = await loadersOf(MultiCategoryBlock({ encoded: true, vocab: ['odd', 'all'] }), rows)
    expect([...encoded.loaders.train.labels]).toEqual(rows.flat())
    await expect(loadersOf(MultiCategoryBlock({ encoded: true, vocab: ['odd', 'all', 'none'] }), rows)).rejects.toThrow(
      'a list of 0 and 1, one per label',
    )
  })

  test('what is none is refused', async () => {
    await expect(loadersOf(MultiCategoryBlock(), ['a b', ...tags.slice(1)])).rejects
      .toThrowErrorMatchingInlineSnapshot(`
      [DataError: 0.png: getY gives it no list of labels
        labels  a b
        expected a list of texts, empty for an item without labels
        Fix: split the text: getY: (item) => labelsOf(item).split(' ')]
    `)
    await expect(
      loadersOf(
        MultiCategoryBlock(),
        tags.map(() => []),
      ),
    ).rejects.toThrow('no training item has a label')
    expect(() => MultiCategoryBlock({ vocab: ['a', 'a'] })).toThrow('a class is there twice')
    expect(() => MultiCategoryBlock({ encoded: true })).toThrow('encoded labels have no names')
  })

  test('have no classes', async () => {
    const { loaders } = await loadersOf(MultiCategoryBlock(), tags)
    expect(() => classWeights(loaders)).toThrowErrorMatchingInlineSnapshot(`
      [OptionError: classWeights: this is for targets of one class per image
        targets  multiCategory
        numbers  3
        expected loaders with a CategoryBlock]
    `)
    await expect(loadersOf(MultiCategoryBlock(), tags, { itemWeights: 'balanced' })).rejects.toThrow(
      'give a function: (item, label) => weight',
    )
    const asked: string[] = []
    await loadersOf(MultiCategoryBlock(), tags, { itemWeights: (_item, label) => asked.push(label) })
    expect(asked).toEqual(['a;b', 'c', '', 'a'])
  })

  test('of other files are known or not', async () => {
    const { loaders } = await loadersOf(MultiCategoryBlock(), tags)
    expect([...loaders.test(['x.png', 'y.png'], { labels: [['c'], []] }).labels]).toEqual([0, 0, 1, 0, 0, 0])
    expect(loaders.test(['x.png']).labelled).toBe(false)
    const batch = await loaders.test(['x.png', 'y.png']).oneBatch()
    expect([...(await read(batch.targets.a))]).toEqual([0, 0, 0, 0, 0, 0])
    batch.release()
  })
})

describe('numbers', () => {
  test('one each, also as texts', async () => {
    const { loaders, lines } = await loadersOf(RegressionBlock(), [1, '2.5', 3, 4, -5, 6e-3])
    expect([loaders.vocab, loaders.outputs]).toEqual([[], 1])
    expect([...loaders.train.labels].map((value) => Number(value.toFixed(4)))).toEqual([1, 2.5, 3, 4, -5, 0.006])
    expect(lines).toEqual(['4 images to train on, 2 to measure on; targets from 1 to 4, mean 2.63'])
    expect((await batchImages(loaders.valid)).map(({ label }) => label)).toEqual(['-5', '0.006'])
  })

  test('several each', async () => {
    const points = tags.map((_, i) => [i, -i / 2])
    const { loaders } = await loadersOf(RegressionBlock(), points)
    expect(loaders.outputs).toBe(2)
    const batch = await loaders.valid.oneBatch()
    expect([...(await read(batch.targets.a))]).toEqual([4, -2, 5, -2.5])
    batch.release()
    await expect(loadersOf(RegressionBlock({ columns: 3 }), points)).rejects.toThrow('expected a list of 3 numbers')
    expect(() => RegressionBlock({ names: ['x', 'x'] })).toThrow('a number is there twice')
  })

  test.each([[undefined], ['ten'], [NaN], [[1, 2]], ['']])('%j is none', async (bad) => {
    await expect(loadersOf(RegressionBlock(), [1, 2, bad, 3, 4, 5])).rejects.toThrow('2.png: getY gives it no target')
  })

  test('a block of classes says what there is for them', async () => {
    const labels = ['0.5', '1.5', '2.5', '0.5', '1.5', '2.5']
    await expect(loadersOf(CategoryBlock(), labels)).rejects.toThrow('take a RegressionBlock()')
  })
})

describe('classes', () => {
  test('keep their order, or have one more for labels that are not known', async () => {
    const labels = ['b', 'a', 'b', 'c', 'a', 'x']
    expect((await loadersOf(CategoryBlock({ sort: false }), [...labels.slice(0, 5), 'a'])).loaders.vocab).toEqual([
      'b',
      'a',
      'c',
    ])
    await expect(loadersOf(CategoryBlock(), labels)).rejects.toThrow("the label 'x' is not in the vocabulary")
    const { loaders } = await loadersOf(CategoryBlock({ addNa: true }), labels)
    expect(loaders.vocab).toEqual(['#na#', 'a', 'b', 'c'])
    expect([...loaders.valid.labels]).toEqual([2, 1, 2, 3, 1, 0])
  })
})

describe('loaders in one line', () => {
  const csv = 'name,tags,x,y\n0.png,b a,1,2\n1.png,,3,4\n2.png,c,5,6\n3.png,a c,7,8\n4.png,b,9,10\n'
  const files = memoryFiles()
  files.contents.set('set/labels.csv', new TextEncoder().encode(csv))
  const given = { batchSize: 1, seed: 1, platform: fakePlatform({ files }) }

  test('labels of a cell', async () => {
    const loaders = await ImageLoaders.fromCsv('set', {
      ...given,
      labelDelim: ' ',
      validPercent: 0.2,
      vocab: ['a', 'b', 'c'],
    })
    expect([...loaders.train.labels].slice(0, 6)).toEqual([1, 1, 0, 0, 0, 0])
    const table = await getImagesFromCsv('set', { file: 'labels.csv', pathColumn: 0, platform: given.platform })
    expect(table.items.map(table.labels('tags', ' '))).toEqual([['b', 'a'], [], ['c'], ['a', 'c'], ['b']])
    expect(() => table.labels('tags', '')).toThrow("such as ' '")
  })

  test('numbers of columns', async () => {
    const loaders = await ImageLoaders.fromCsv('set', { ...given, labelColumn: ['x', 'y'] })
    expect([loaders.outputs, ...loaders.train.labels]).toEqual([2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect([loaders.target.names, loaders.target.text([1, 2])]).toEqual([['x', 'y'], 'x 1, y 2'])
    const one = await ImageLoaders.fromCsv('set', { ...given, labelColumn: 'y', targetBlock: RegressionBlock() })
    expect([one.outputs, ...one.train.labels]).toEqual([1, 2, 4, 6, 8, 10])
    await expect(ImageLoaders.fromCsv('set', { ...given, labelColumn: ['x'], labelDelim: ' ' })).rejects.toThrow(
      'labelDelim and several columns',
    )
  })

  test('lists of anything', async () => {
    const paths = tags.map((_, i) => `${i}.png`)
    const kinds = async (labels: readonly unknown[]) =>
      (await ImageLoaders.fromLists('', paths, labels, { ...given, validPercent: 0.2 })).train.target.kind
    expect(await kinds([['a'], ['b'], ['a', 'b'], ['a'], ['b'], ['b']])).toBe('multiCategory')
    expect(await kinds([1, 2, 3, 4, 5, 6])).toBe('regression')
    expect(await kinds(paths.map(() => [1, 2]))).toBe('regression')
    expect(await kinds(['a', 'b', 'a', 'b', 'a', 'b'])).toBe('category')
    await expect(
      ImageLoaders.fromLists('', paths, paths, { ...given, vocab: ['a'], targetBlock: CategoryBlock() }),
    ).rejects.toThrow('vocab and targetBlock are both given')
  })
})

describe('a block of one’s own', () => {
  test('makes numbers of labels of any kind', async () => {
    const angles: TargetBlock = {
      kind: 'angle',
      target: () => ({
        kind: 'angle',
        vocab: [],
        columns: 2,
        encode: (_item, degrees) => [
          Math.cos((Number(degrees) * Math.PI) / 180),
          Math.sin((Number(degrees) * Math.PI) / 180),
        ],
        decode: ([x, y]) => [(Math.atan2(y, x) * 180) / Math.PI],
        text: (row) =>
          row.length === 2 ? `${Math.round((Math.atan2(row[1], row[0]) * 180) / Math.PI)}°` : `${Math.round(row[0])}°`,
      }),
    }
    const { loaders } = await loadersOf(angles, [0, 90, 180, 45, -30, 60])
    expect((await batchImages(loaders.valid)).map(({ label }) => label)).toEqual(['-30°', '60°'])
  })

  test('is checked', async () => {
    const none = { kind: 'mine', target: () => ({}) } as unknown as TargetBlock
    await expect(loadersOf(none, tags)).rejects.toThrow('block mine: its target is not of the right kind')
    const short = {
      kind: 'mine',
      vocab: [],
      columns: 2,
      encode: () => [1],
      decode: (x: Float32Array) => x,
      text: () => '',
    }
    await expect(loadersOf({ kind: 'mine', target: () => short }, tags)).rejects.toThrowErrorMatchingInlineSnapshot(`
      [OptionError: block mine: encode gives another number of numbers than there are columns
        item     0.png
        numbers  1
        expected 2]
    `)
    expect(
      () => new DataBlock({ blocks: [ImageBlock(), {} as TargetBlock], getItems: () => [], getY: () => '' }),
    ).toThrow('blocks is not of the right kind')
  })
})
