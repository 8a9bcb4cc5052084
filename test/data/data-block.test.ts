import { describe, expect, test } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import * as autoAugment from '../../src/data/auto-augment.ts'
import * as colour from '../../src/data/augment/colour.ts'
import * as crop from '../../src/data/augment/crop.ts'
import * as erasing from '../../src/data/augment/erasing.ts'
import * as normalization from '../../src/data/augment/normalize.ts'
import * as augmentParts from '../../src/data/augment/parts.ts'
import * as augmentation from '../../src/data/augment/transforms.ts'
import { CategoryBlock, ImageBlock } from '../../src/data/blocks.ts'
import { DataBlock, type DataBlockOptions } from '../../src/data/data-block.ts'
import * as itemTransforms from '../../src/data/item-transforms.ts'
import { parentLabel } from '../../src/data/items.ts'
import { PixelCache } from '../../src/data/pixel-cache.ts'
import { grandparentSplitter, type Splitter } from '../../src/data/splitters.ts'
import * as windowTransforms from '../../src/data/window-transforms.ts'
import * as exported from '../../src/exports/data.ts'
import type { Pixels } from '../../src/image/pixels.ts'
import * as root from '../../src/index.ts'
import { fakePlatform } from '../helpers/fake-platform.ts'

const { augTransforms } = augmentation
const { imagenetStats, normalize } = normalization
const { flipItem, randomResizedCrop, resize } = itemTransforms

const items = (count: number) =>
  Array.from({ length: count }, (_, i) => `set/${['pear', 'apple', 'fig'][i % 3]}/${i}-16x8.png`)

const block = (options: Partial<DataBlockOptions> = {}) =>
  new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: () => items(60),
    getY: parentLabel,
    itemTransforms: [resize(8)],
    ...options,
  })

describe('loaders', () => {
  test('a random fifth is measured on, the labels are sorted', async () => {
    const { train, valid, vocab } = await block().loaders('set', { batchSize: 4, platform: fakePlatform() })
    expect([train.items.length, valid.items.length]).toEqual([48, 12])
    expect(new Set([...train.items, ...valid.items]).size).toBe(60)
    expect(vocab).toEqual(['apple', 'fig', 'pear'])
    expect([...valid.items.slice(0, 4)].map((item) => vocab[valid.labels[item]])).toEqual(
      [...valid.items.slice(0, 4)].map((item) => parentLabel(items(60)[item])),
    )
  })

  test('the seed decides about the split: given, or the setting SEED, or 42', async () => {
    const split = async (seed?: number, env: Record<string, string> = {}) => {
      const platform = fakePlatform({ env })
      return [...(await block().loaders('set', { platform, ...(seed === undefined ? {} : { seed }) })).valid.items]
    }
    expect(await split(1)).toEqual(await split(1))
    expect(await split(1)).not.toEqual(await split(2))
    expect(await split()).toEqual(await split(42))
    expect(await split(undefined, { SEED: '2' })).toEqual(await split(2))
    await expect(split(undefined, { SEED: 'x' })).rejects.toThrow(OptionError)
  })

  test('a limit takes items of all kinds, the same for the same seed', async () => {
    const limited = (seed: number) => block().loaders('set', { limit: 20, seed, platform: fakePlatform() })
    const { train, valid, vocab } = await limited(1)
    expect(train.items.length + valid.items.length).toBe(20)
    expect(vocab.length).toBe(3)
    expect((await limited(1)).train.pictures.items).toEqual(train.pictures.items)
    expect((await limited(2)).train.pictures.items).not.toEqual(train.pictures.items)
    await expect(block().loaders('set', { limit: 0, platform: fakePlatform() })).rejects.toThrow(OptionError)
  })

  test('a label that is only in validation is refused', async () => {
    const made = block({
      getItems: () => ['set/train/fig/1.png', 'set/train/kiwi/3.png', 'set/val/pear/2.png'],
      splitter: grandparentSplitter({ valid: 'val' }),
    })
    await expect(made.loaders('set', { platform: fakePlatform() })).rejects.toThrowErrorMatchingInlineSnapshot(`
      [DataError: set/val/pear/2.png: the label 'pear' is not in the vocabulary
        vocabulary  fig kiwi
        expected a label that occurs in the training items
        Fix: use another split or more items, or give the labels: CategoryBlock({ vocab }); of a file to predict leave out the label]
    `)
    const given = block({
      blocks: [ImageBlock(), CategoryBlock({ vocab: ['pear', 'fig', 'kiwi'] })],
      getItems: () => ['set/train/fig/1.png', 'set/train/kiwi/3.png', 'set/val/pear/2.png'],
      splitter: grandparentSplitter({ valid: 'val' }),
    })
    expect([...(await given.loaders('set', { platform: fakePlatform() })).train.labels]).toEqual([1, 2, 0])
  })

  const names = new Set(Object.keys({ ...root, ...exported }))
  const modules = [itemTransforms, windowTransforms, autoAugment, colour, crop, erasing, normalization, augmentParts]
  const makers = Object.entries(Object.assign({}, augmentation, ...modules) as Record<string, unknown>).filter(
    ([name, value]) => names.has(name) && typeof value === 'function',
  )
  test.each(makers)('%s that was not called is no transform of its own', (name, maker) => {
    const [transform] = [maker] as never[]
    expect(() => block({ itemTransforms: [transform] })).toThrow(`Fix: call it: ${name}()`)
  })

  test('a transform of your own under the name of one that is made is told to have another', () => {
    const zoom = (image: Pixels) => image
    expect(() => block({ itemTransforms: [zoom] })).toThrow('of your own: a function under another name than those')
  })

  test('no items, two transforms of a kind, two caches: refused', async () => {
    await expect(block({ getItems: () => [] }).loaders('set', { platform: fakePlatform() })).rejects.toThrow(
      'there are no items',
    )
    expect(() => block({ itemTransforms: [resize(8), resize(9)] })).toThrow('two item transforms')
    await expect(
      block().loaders('set', { cache: new PixelCache(2 ** 30), cacheBytes: 5, platform: fakePlatform() }),
    ).rejects.toThrow('both given')
  })

  test('a split with an empty side, or of items there are not, is refused', async () => {
    const split = (train: number[], valid: number[]) =>
      block({ splitter: () => ({ train: Uint32Array.from(train), valid: Uint32Array.from(valid) }) }).loaders('set', {
        platform: fakePlatform(),
      })
    await expect(split([], [1])).rejects.toThrow('splitter: no item is left to train on')
    await expect(split([0, 1], [])).rejects.toThrow('splitter: no item is left to measure on')
    await expect(split([0, 1], [2, 60])).rejects.toThrowErrorMatchingInlineSnapshot(`
      [DataError: splitter: there is no such item
        valid  60
        items  60
        expected numbers of items, from 0 on]
    `)
  })

  test('an item of neither side needs no label', async () => {
    const { train, valid } = await block({
      splitter: (all) => ({ train: [0, 1, 2, 3], valid: [4, all.length - 1] }),
      getY(item) {
        if (!/\/([0-4]|59)-/.test(item)) throw new Error(`${item} has no label`)
        return parentLabel(item)
      },
    }).loaders('set', { batchSize: 2, platform: fakePlatform() })
    expect([train.items.length, valid.items.length]).toEqual([4, 2])
  })

  test('a split may be lists; numbers that are none, and a splitter that waits, are refused', async () => {
    const splitBy = (splitter: unknown) =>
      block({ splitter: splitter as Splitter }).loaders('set', { platform: fakePlatform() })
    const { train, valid } = await splitBy(() => ({ train: [0, 1, 20, 21, 40, 41], valid: [2, 22] }))
    expect([train.items, valid.items]).toEqual([Uint32Array.of(0, 1, 20, 21, 40, 41), Uint32Array.of(2, 22)])
    for (const index of [-1, 0.5, NaN]) {
      await expect(splitBy(() => ({ train: [0, 20, 40], valid: [index] }))).rejects.toThrow('there is no such item')
    }
    await expect(splitBy(() => ({ train: ['0'], valid: ['1'] }))).rejects.toThrow(OptionError)
    await expect(splitBy(() => Promise.reject(new Error('late')))).rejects.toThrowErrorMatchingInlineSnapshot(`
      [OptionError: splitter: the split is not of the right kind
        the split  a promise
        expected { train, valid }, lists of numbers of items, as randomSplitter() splits them
        Fix: return it synchronously]
    `)
  })

  test('items that are no paths are refused', async () => {
    const images = [{ width: 1, height: 1, data: new Uint8Array(4) }]
    await expect(block({ getItems: () => images as never }).loaders('set', { platform: fakePlatform() })).rejects
      .toThrowErrorMatchingInlineSnapshot(`
      [OptionError: getItems: its result is not of the right kind
        its result  a list: [{ width, height, data }]
        expected a list of paths, as of getImageFiles]
    `)
  })

  test('labels that are none, one label for all, and one class twice are refused', async () => {
    const labelled = (getY: (item: string) => string) => block({ getY }).loaders('set', { platform: fakePlatform() })
    await expect(labelled((item) => item.split('_')[7])).rejects.toThrowErrorMatchingInlineSnapshot(`
      [DataError: set/apple/10-16x8.png: getY gives it no label
        label  undefined
        expected a text]
    `)
    await expect(labelled(() => '')).rejects.toThrow('getY gives it no label')
    await expect(labelled(() => 'pear')).rejects.toThrowErrorMatchingInlineSnapshot(`
      [DataError: data set: all training items have one label, so that there is nothing to learn
        label  pear
        items  48
        Fix: see what getY makes of an item, and whether the path is that of the folder around the class folders]
    `)
    expect(() => CategoryBlock({ vocab: ['fig', 'pear', 'fig'] })).toThrowErrorMatchingInlineSnapshot(`
      [OptionError: CategoryBlock: a class is there twice
        vocab  [fig,pear,fig]
        twice  fig]
    `)
  })

  test('a seed that is none is refused, whatever splits', async () => {
    const split = { train: Uint32Array.of(0, 1), valid: Uint32Array.of(2) }
    await expect(
      block({ splitter: () => split }).loaders('set', { seed: NaN, platform: fakePlatform() }),
    ).rejects.toThrow('loaders: seed is out of range')
  })

  test('loaders that share a cache decode a picture once', async () => {
    const platform = fakePlatform()
    const cache = new PixelCache(2 ** 30)
    for (const batchSize of [4, 6]) {
      const { train } = await block().loaders('set', { batchSize, cache, platform })
      for await (const { free } of train.hostBatches({ shuffle: false })) free()
    }
    expect(platform.decoded.length).toBe(48)
  })
})

test('summary tells the way of one item', async () => {
  const platform = fakePlatform()
  const made = block({ batchTransforms: [...augTransforms({ size: 4, minScale: 0.5 }), normalize(imagenetStats)] })
  const text = await made.summary('set', { batchSize: 4, platform })
  expect(text).toMatchInlineSnapshot(`
    "60 items of set
    split: 48 to train on, 12 to measure on
    vocabulary: 3 labels, apple fig pear
    one item: set/apple/10-16x8.png
      label: apple, number 0
      decoded: 16 × 8 pixels
      resize (crop): 8 × 8 pixels
    a batch: 4 such images, [4,8,8] u32, one RGBA pixel each
      affine: [4,8,8,3]
      crop: [4,4,4,3]
      lighting: [4,4,4,3]
      normalize: [4,4,4,3]
    the network's input: [4,4,4,3], f32 or f16"
  `)
  expect(platform.lines.join('\n')).toBe(text)
})

test('summary tells of every item transform, in the order of their work', async () => {
  const made = block({ itemTransforms: [randomResizedCrop([4, 6]), flipItem(0.3)] })
  const text = await made.summary('set', { batchSize: 4, platform: fakePlatform() })
  expect(text.split('\n').slice(5, 9)).toEqual([
    '  decoded: 16 × 8 pixels',
    '  flipItem (p = 0.3): 16 × 8 pixels',
    '  randomResizedCrop: 6 × 4 pixels',
    'a batch: 4 such images, [4,4,6] u32, one RGBA pixel each',
  ])
})

describe('labels', () => {
  const counted = async (names: readonly string[], options: Partial<DataBlockOptions> = {}) => {
    const platform = fakePlatform()
    const given = names.map((name, i) => `set/${name}/${i}-4x4.png`)
    const loaders = await block({
      getItems: () => given,
      splitter: (all) => ({ train: Uint32Array.from(all.keys()).slice(1), valid: Uint32Array.of(0) }),
      ...options,
    }).loaders('set', { batchSize: 1, platform })
    return { loaders, vocab: loaders.vocab, lines: platform.lines }
  }

  test('how many there are of each class is printed, once', async () => {
    const platform = fakePlatform()
    await block().loaders('set', { platform })
    await block().loaders('set', { platform, batchSize: 8 })
    expect(platform.lines).toEqual(['48 images to train on, 12 to measure on: apple 15 + 5, fig 16 + 4, pear 17 + 3'])
    await block().loaders('set', { platform, seed: 7 })
    expect(platform.lines.length).toBe(2)
  })

  test('of many classes the smallest and largest', async () => {
    const names = Array.from({ length: 25 }, (_, i) => new Array<string>(i + 1).fill(`c${i + 10}`)).flat()
    const { lines } = await counted(['c34', ...names])
    expect(lines).toEqual([
      '325 images to train on, 1 to measure on: 25 classes, the smallest c10 1 + 0, c11 2 + 0, c12 3 + 0, c13 4 + 0, c14 5 + 0, ' +
        'the largest c34 25 + 1, c33 24 + 0, c32 23 + 0, c31 22 + 0, c30 21 + 0',
    ])
  })

  test('two spellings of one sign are one class', async () => {
    const [composed, decomposed] = ['grün'.normalize('NFC'), 'grün'.normalize('NFD')]
    const made = await counted([composed, decomposed, composed, 'blau', decomposed])
    expect(made.vocab).toEqual(['blau', composed])
    expect(made.lines[0]).toContain(`blau 1 + 0, ${composed} 3 + 1`)
    expect([...made.loaders.test(['x/1', 'x/2'], { labels: [composed, decomposed] }).labels]).toEqual([1, 1])
    const given = await counted([composed, 'blau'], {
      blocks: [ImageBlock(), CategoryBlock({ vocab: [decomposed, 'blau'] })],
    })
    expect(given.vocab).toEqual([composed, 'blau'])
    expect(() => CategoryBlock({ vocab: [composed, decomposed] })).toThrow('a class is there twice')
  })

  test('classes that look alike, numbers, and a class for every image are pointed at', async () => {
    expect((await counted(['cat', 'Cat ', 'cat', 'dog', 'do\u200bg'])).lines[1]).toBe(
      "classes whose names look alike: 'Cat ' and 'cat', 'dog' and 'do\u200bg'",
    )
    expect((await counted(['3', '3', '7'])).lines[1]).toBe(
      'all labels are numbers; they are names of classes here, not values',
    )
    const each = Array.from({ length: 30 }, (_, i) => `name-${i}`)
    expect((await counted(['name-1', ...each])).lines[1]).toBe(
      'there are fewer than two images of a class to train on: see whether getY gives classes',
    )
  })

  test('measurements are refused as labels, unless they are listed', async () => {
    const values = ['0.5', '1', '1.25', '0.5', '3e-1']
    await expect(counted(values)).rejects.toThrowErrorMatchingInlineSnapshot(`
      [DataError: data set: the labels are numbers with fractions, which are values rather than classes
        label      0.5
        different  4
        expected names of classes
        Fix: to learn the values, take a RegressionBlock(); where they are classes, list them: CategoryBlock({ vocab })]
    `)
    const blocks = [ImageBlock(), CategoryBlock({ vocab: [...new Set(values)] })] as const
    expect((await counted(values, { blocks })).vocab).toEqual(['0.5', '1', '1.25', '3e-1'])
  })
})

describe('items that are used twice are refused', () => {
  test('listed twice', async () => {
    await expect(
      block({ getItems: () => [...items(60), 'set/pear/3-16x8.png'] }).loaders('set', { platform: fakePlatform() }),
    ).rejects.toThrow(
      'set: an item is listed twice, so that it could be trained and measured on\n  item   set/pear/3-16x8.png',
    )
  })

  test('on both sides, or twice on one', async () => {
    const split = (train: number[], valid: number[]) =>
      block({ splitter: () => ({ train: Uint32Array.from(train), valid: Uint32Array.from(valid) }) }).loaders('set', {
        platform: fakePlatform(),
      })
    await expect(split([0, 1, 2, 3], [4, 2])).rejects.toThrow(
      'splitter: an item is on both sides of the split\n  index  2\n  item   set/fig/2-16x8.png',
    )
    await expect(split([0, 1, 0], [4])).rejects.toThrow("splitter: an item is twice among those of 'train'")
    await expect(split([0, 1], [4, 4])).rejects.toThrow("splitter: an item is twice among those of 'valid'")
  })
})

test('the budget for decoded pictures is a part of what the machine has', async () => {
  const cacheOf = async (availableBytes?: () => number | undefined) =>
    (await block().loaders('set', { platform: Object.assign(fakePlatform(), { availableBytes }) })).train.pictures.cache
      .limitBytes
  expect(await cacheOf(() => 2 ** 33)).toBe(2 ** 31)
  expect(await cacheOf(() => 4e8)).toBe(1e8)
  expect(await cacheOf(() => undefined)).toBe(2 ** 30)
  expect(await cacheOf()).toBe(2 ** 30)
})
