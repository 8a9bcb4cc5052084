import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ImageLoaders } from '../../src/data/image-loaders.ts'
import { resize } from '../../src/data/item-transforms.ts'
import type { Loaders } from '../../src/data/loaders.ts'
import { encodePng } from '../../src/platform/node/png.ts'
import { createNodePlatform } from '../../src/platform/node/index.ts'
import { openTestGpu } from '../helpers/gpu.ts'

await openTestGpu()

let folder = ''
const options = {
  platform: { ...createNodePlatform({ threads: 0 }), log: () => {} },
  batchSize: 2,
  seed: 42,
  itemTransforms: [resize(8)],
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wgrad-loaders-'))
  for (const [side, count] of [
    ['train', 3],
    ['valid', 2],
  ] as const) {
    for (const label of ['cat', 'dog']) {
      mkdirSync(join(folder, side, label), { recursive: true })
      for (let i = 0; i < count; i++) {
        const shade = 20 * i + (label === 'cat' ? 0 : 100) + (side === 'train' ? 0 : 7)
        const image = { width: 9, height: 10, data: new Uint8Array(360).fill(shade) }
        writeFileSync(join(folder, side, label, `${label}_${side}_${i}.png`), await encodePng(image))
      }
    }
  }
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Names and labels of one side, in order. */
const sideOf = ({ vocab, ...loaders }: Loaders, side: 'train' | 'valid') =>
  Array.from(loaders[side].items, (item) => [
    basename(loaders[side].pictures.items[item]),
    vocab[loaders[side].labels[item]],
  ])

const named = (side: string, count: number) =>
  ['cat', 'dog'].flatMap((label) => Array.from({ length: count }, (_, i) => [`${label}_${side}_${i}.png`, label]))

describe('fromFolder', () => {
  test('goes by the folders train and valid', async () => {
    const loaders = await ImageLoaders.fromFolder(folder, options)
    expect(loaders.vocab).toEqual(['cat', 'dog'])
    expect(sideOf(loaders, 'train')).toEqual(named('train', 3))
    expect(sideOf(loaders, 'valid')).toEqual(named('valid', 2))
    const batch = await loaders.oneBatch()
    expect(batch.pixels.shape).toEqual([2, 8, 8])
    batch.release()
  })

  test('by others, by a share, and with a vocabulary', async () => {
    const swapped = await ImageLoaders.fromFolder(folder, {
      ...options,
      train: 'valid',
      valid: 'train',
      vocab: ['dog', 'cat'],
    })
    expect(swapped.vocab).toEqual(['dog', 'cat'])
    expect(sideOf(swapped, 'train')).toEqual(named('valid', 2))
    const random = await ImageLoaders.fromFolder(folder, { ...options, validPercent: 0.3 })
    expect([random.train.items.length, random.valid.items.length]).toEqual([7, 3])
    expect(sideOf(random, 'train').every(([name, label]) => name.startsWith(label))).toBe(true)
  })

  test('refuses two ways at once, folders that are missing, and unknown options', async () => {
    const from = (more: object) => ImageLoaders.fromFolder(folder, { ...options, ...more })
    await expect(from({ validPercent: 0.2, valid: 'val' })).rejects.toThrow('validPercent and folders are both given')
    await expect(from({ valid: 'val' })).rejects.toThrow('there is no folder val')
    await expect(from({ item_tfms: [] })).rejects.toThrow('Fix: write itemTransforms')
    await expect(from({ bs: 16 })).rejects.toThrow('Fix: write batchSize')
  })
})

test('fromNameFunction reads labels off the names of files', async () => {
  const seen: string[] = []
  const labelOf = (name: string) => {
    seen.push(name)
    return name.includes('_valid_') ? 'new' : 'old'
  }
  const loaders = await ImageLoaders.fromNameFunction(folder, labelOf, { ...options, validPercent: 0.5 })
  expect(loaders.vocab).toEqual(['new', 'old'])
  expect([loaders.train.items.length, loaders.valid.items.length]).toEqual([5, 5])
  expect(seen.every((name) => /^(cat|dog)_\w+_\d\.png$/.test(name))).toBe(true)
  for (const [name, label] of sideOf(loaders, 'train')) expect(label).toBe(labelOf(name))
})

describe('fromCsv', () => {
  const write = (file: string, rows: readonly string[]) => writeFileSync(join(folder, file), rows.join('\n'))

  test('takes the first column for the path, the second for the label', async () => {
    const rows = named('train', 3).map(
      ([name, label]) => `train/${label}/${name},${label === 'cat' ? 'Katze' : 'Hund'}`,
    )
    write('labels.csv', ['name,label', ...rows])
    const loaders = await ImageLoaders.fromCsv(folder, { ...options, validPercent: 0.34 })
    expect(loaders.vocab).toEqual(['Hund', 'Katze'])
    expect([loaders.train.items.length, loaders.valid.items.length]).toEqual([4, 2])
  })

  test('or others by name, and a column that says what is measured on', async () => {
    const rows = named('train', 3).map(
      ([name, label], i) => `${i},${label},${i % 3 === 0 ? 'True' : 'False'},train/${label}/${name}`,
    )
    write('table.csv', ['id,kind,is_valid,file', ...rows])
    const columns = { file: 'table.csv', pathColumn: 'file', labelColumn: 'kind', validColumn: 'is_valid' }
    const loaders = await ImageLoaders.fromCsv(folder, { ...options, ...columns })
    expect(sideOf(loaders, 'valid')).toEqual([
      ['cat_train_0.png', 'cat'],
      ['dog_train_0.png', 'dog'],
    ])
    const from = (more: object) => ImageLoaders.fromCsv(folder, { ...options, ...columns, ...more })
    await expect(from({ validPercent: 0.2 })).rejects.toThrow('validPercent and validColumn are both given')
    await expect(from({ labelColumn: 'label' })).rejects.toThrow("there is no column 'label'")
    write('narrow.csv', ['file', ...rows])
    await expect(ImageLoaders.fromCsv(folder, { ...options, file: 'narrow.csv' })).rejects.toThrow()
  })
})

test('a vocabulary of labels that are numbers is refused', async () => {
  const files = named('train', 3).map(([name, label]) => `train/${label}/${name}`)
  const vocab = ['cat', 'dog']
  const numbers = files.map((_, i) => i % 2)
  await expect(ImageLoaders.fromLists(folder, files, numbers, { ...options, vocab })).rejects
    .toThrowErrorMatchingInlineSnapshot(`
    [OptionError: ImageLoaders: a vocabulary names classes or labels, and the targets are numbers
      vocab  [cat,dog]
      Fix: give the name of its class to each image, vocab[number], or leave the vocabulary out]
  `)
  writeFileSync(join(folder, 'points.csv'), ['file,x,y', ...files.map((file, i) => `${file},${i},0`)].join('\n'))
  const table = { ...options, file: 'points.csv', labelColumn: ['x', 'y'] }
  await expect(ImageLoaders.fromCsv(folder, { ...table, vocab })).rejects.toThrow('names classes or labels')
  expect((await ImageLoaders.fromCsv(folder, table)).vocab).toEqual([])
})

test('fromLists takes files and their labels', async () => {
  const files = named('train', 3).map(([name, label]) => `train/${label}/${name}`)
  const labels = files.map((_, i) => (i % 2 ? 'odd' : 'even'))
  const loaders = await ImageLoaders.fromLists(folder, files, labels, { ...options, validPercent: 0.34 })
  for (const [name, label] of [...sideOf(loaders, 'train'), ...sideOf(loaders, 'valid')]) {
    expect(label).toBe(labels[files.findIndex((file) => file.endsWith(name))])
  }
  const whole = await ImageLoaders.fromLists(
    '',
    files.map((file) => join(folder, file)),
    labels,
    options,
  )
  expect(whole.train.items.length + whole.valid.items.length).toBe(6)
  await expect(ImageLoaders.fromLists(folder, files, ['one'], options)).rejects.toThrow(
    'there are not as many labels as files',
  )
})

test('the split is that of a data block with the same seed', async () => {
  const of = async (more: object) =>
    sideOf(await ImageLoaders.fromNameFunction(folder, (name) => name.slice(0, 3), { ...options, ...more }), 'valid')
  expect(await of({})).toEqual(await of({ validPercent: 0.2 }))
  expect(await of({ validPercent: 0.2, seed: 1 })).not.toEqual(await of({ validPercent: 0.2, seed: 2 }))
})
