import { expect, test } from 'vitest'
import { DataError } from '../../src/base/errors.ts'
import { CategoryBlock, ImageBlock } from '../../src/data/blocks.ts'
import { DataBlock } from '../../src/data/data-block.ts'
import { columnSplitter, getImagesFromCsv, type ImagesFromCsvOptions } from '../../src/data/image-table.ts'
import type { Files, Platform } from '../../src/platform/platform.ts'
import { fakePlatform } from '../helpers/fake-platform.ts'

/** As the table of Imagenette is, with the images of the fake platform. */
const noisy = `path,noisy_labels_0,noisy_labels_1,noisy_labels_5,noisy_labels_25,noisy_labels_50,is_valid
train/n01440764/1-4x4.JPEG,n01440764,n01440764,n01440764,n01440764,n01440764,False
train/n01440764/2-4x4.JPEG,n01440764,n01440764,n01440764,n02102040,n02102040,False
val/n02102040/3-4x4.JPEG,n02102040,n02102040,n02102040,n02102040,n02102040,True
train/n02102040/4-4x4.JPEG,n02102040,n02102040,n02102040,n02102040,n01440764,False
val/n01440764/5-4x4.JPEG,n01440764,n01440764,n01440764,n01440764,n01440764,True
`

function withFile(content: string): Platform {
  const files = {
    join: (...parts: string[]) => parts.join('/'),
    readText: (path: string) => {
      const known = ['set/noisy_imagenette.csv', 'set/other.csv'].includes(path)
      return known ? Promise.resolve(content) : Promise.reject(new DataError(path, 'no such file'))
    },
  } as Files
  return Object.defineProperty(fakePlatform(), 'files', { value: files })
}

const table = (content = noisy, options: ImagesFromCsvOptions = {}) =>
  getImagesFromCsv('set', { platform: withFile(content), ...options })

test('images in the order of the table, labels of any of its columns', async () => {
  const made = await table()
  const { items } = made
  const column = (name: string) => made.column(name)
  expect(items.slice(0, 2)).toEqual(['set/train/n01440764/1-4x4.JPEG', 'set/train/n01440764/2-4x4.JPEG'])
  expect(items.map(column('noisy_labels_0'))).toEqual(['n01440764', 'n01440764', 'n02102040', 'n02102040', 'n01440764'])
  expect(items.map(column('noisy_labels_50'))).toEqual([
    'n01440764',
    'n02102040',
    'n02102040',
    'n01440764',
    'n01440764',
  ])
})

test('True is measured on, False trained on', async () => {
  const made = await table()
  expect(columnSplitter(made)(made.items)).toEqual({ train: Uint32Array.of(0, 1, 3), valid: Uint32Array.of(2, 4) })
  // The indices are those of the items asked for.
  expect(columnSplitter(made)([made.items[4], made.items[3]])).toEqual({
    train: Uint32Array.of(1),
    valid: Uint32Array.of(0),
  })
  const small = await table('image,test\na,true\nb,FALSE\n', { file: 'other.csv', pathColumn: 'image' })
  expect(columnSplitter(small, 'test')(small.items)).toEqual({ train: Uint32Array.of(1), valid: Uint32Array.of(0) })
})

test('a data block of the table: wrong labels in training, right ones in validation', async () => {
  const platform = withFile(noisy)
  const made = await getImagesFromCsv('set', { platform })
  const { train, valid, vocab } = await new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: () => made.items,
    getY: made.column('noisy_labels_50'),
    splitter: columnSplitter(made),
  }).loaders('set', { batchSize: 1, platform })
  expect(vocab).toEqual(['n01440764', 'n02102040'])
  expect([...train.items].map((item) => train.labels[item])).toEqual([0, 1, 0])
  expect([...valid.items].map((item) => valid.labels[item])).toEqual([1, 0])
})

test('spaces around cells and names of columns are no part of them', async () => {
  const made = await table('path, label, is_valid\na, cat, False\nb,cat ,True\nc,hot dog, False\nd, ,True\n')
  expect(made.items.slice(0, 3).map(made.column('label'))).toEqual(['cat', 'cat', 'hot dog'])
  expect(columnSplitter(made)(made.items)).toEqual({ train: Uint32Array.of(0, 2), valid: Uint32Array.of(1, 3) })
  expect(() => made.column(' label ')('set/d')).toThrow("set/d: the column 'label' is empty for this image")
})

test('tables that are not right are refused', async () => {
  await expect(table(noisy, { file: 'missing.csv' })).rejects.toThrow('set/missing.csv: no such file')
  await expect(table(noisy, { pathColumn: 'image' })).rejects.toThrow(
    "set/noisy_imagenette.csv: there is no column 'image'",
  )
  await expect(table('path,is_valid\n')).rejects.toThrow('the table lists no images')
  await expect(table('path,is_valid\na,True\n,True\n')).rejects.toThrow(
    'set/noisy_imagenette.csv:3: the row names no image',
  )
  await expect(table('path,is_valid\na,True\na,False\n')).rejects.toThrow(
    'set/noisy_imagenette.csv:3: the table lists this image twice',
  )
  const made = await table('path,label,is_valid\na,,True\nb,x,maybe\nc,y,True\n')
  expect(() => made.column('labels')).toThrowErrorMatchingInlineSnapshot(`
    [DataError: set/noisy_imagenette.csv: there is no column 'labels'
      columns  [path,label,is_valid]]
  `)
  expect(() => made.column('label')('set/z')).toThrow('set/z: the table does not list this image')
  expect(() => made.column('label')('set/a')).toThrow("set/a: the column 'label' is empty for this image")
  expect(() => columnSplitter(made)(made.items)).toThrow("set/b: the column 'is_valid' is neither True nor False")
  expect(() => columnSplitter(made)(['set/a', 'set/c'])).toThrowErrorMatchingInlineSnapshot(`
    [DataError: columnSplitter: there is nothing to train on
      items   2
      column  is_valid
      expected rows with True and rows with False]
  `)
})
