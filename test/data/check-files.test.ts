import { copyFileSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CategoryBlock, ImageBlock } from '../../src/data/blocks.ts'
import { DataBlock } from '../../src/data/data-block.ts'
import { columnSplitter, getImagesFromCsv } from '../../src/data/image-table.ts'
import { getImageFiles, parentLabel } from '../../src/data/items.ts'
import { grandparentSplitter } from '../../src/data/splitters.ts'
import { verifyImages } from '../../src/data/verify-images.ts'
import { createNodePlatform } from '../../src/platform/node/index.ts'
import { encodePng } from '../../src/platform/node/png.ts'
import type { Platform } from '../../src/platform/platform.ts'

let folder = ''
let lines: string[] = []
let platform: Platform

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgrad-check-'))
  lines = []
  platform = { ...createNodePlatform({ threads: 0 }), log: (line) => void lines.push(line.replaceAll(folder, '…')) }
})
afterEach(() => rmSync(folder, { recursive: true }))

const at = (path: string) => join(folder, path)

/** A picture of one colour, another for every number. */
async function write(path: string, colour: number): Promise<void> {
  mkdirSync(dirname(at(path)), { recursive: true })
  const data = Uint8Array.from({ length: 4 * 4 * 4 }, (_, i) => (i % 4 === 3 ? 255 : (colour * 7 + i * i) % 256))
  writeFileSync(at(path), await encodePng({ width: 4, height: 4, data }))
}

/** Five pictures of two classes on each side. */
async function writeSet(): Promise<void> {
  let colour = 0
  for (const side of ['train', 'valid']) {
    for (const name of ['cat', 'dog']) for (let i = 0; i < 5; i++) await write(`${side}/${name}/${i}.png`, colour++)
  }
}

const loaders = () =>
  new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: getImageFiles,
    getY: parentLabel,
    splitter: grandparentSplitter(),
  }).loaders(folder, { platform, batchSize: 2 })

describe('files are looked at when loaders are made', () => {
  test('nothing is said of those that are all right', async () => {
    await writeSet()
    expect((await loaders()).train.items.length).toBe(10)
    expect(lines).toEqual(['10 images to train on, 10 to measure on: cat 5 + 5, dog 5 + 5'])
  })

  test('one that is no image is left out, also in a small set, and a run goes on', async () => {
    await writeSet()
    writeFileSync(at('valid/cat/0.png'), '<html>404 Not Found</html>')
    const { train, valid } = await loaders()
    expect([train.items.length, valid.items.length]).toEqual([10, 9])
    expect(lines[0]).toBe(
      'left out: …/valid/cat/0.png: not an image (starts 3c 68 74 6d 6c 3e 34 30, the text "<html>404 Not Fo")\n  expected a JPEG or PNG',
    )
    expect(lines[1]).toContain('cat 5 + 4, dog 5 + 5')
  })

  test('one that cannot be read now is tried again when its turn comes', async () => {
    await writeSet()
    symlinkSync(at('not-yet'), at('valid/cat/5.png'))
    const { valid } = await loaders()
    expect(valid.items.length).toBe(11)
    expect(lines[0]).toBe('cannot be read now: …/valid/cat/5.png: no such file or folder')
    await write('not-yet', 99)
    let count = 0
    for await (const { host } of valid.hostBatches()) count += host.count
    expect(count).toBe(11)
  })

  test('a side of which nothing is left is refused', async () => {
    for (const path of ['train/cat/0.png', 'train/dog/0.png']) await write(path, path.length)
    await write('valid/cat/0.png', 3)
    writeFileSync(at('valid/cat/0.png'), 'not an image')
    await expect(loaders()).rejects.toThrow('unreadable  1 of 3')
  })

  test('more are refused before anything is trained', async () => {
    await writeSet()
    writeFileSync(at('train/cat/1.png'), '')
    symlinkSync(at('nowhere'), at('train/cat/5.png'))
    await expect(loaders()).rejects.toThrow('data set: too many images cannot be decoded\n  unreadable  2 of 21')
  })

  test('files that a table lists and that are not there', async () => {
    await writeSet()
    const rows = [
      'train/cat/0.png,cat,False',
      'train/dog/0.png,dog,False',
      'valid/cat/0.png,cat,True',
      'valid/cat/9.png,cat,True',
      'valid/dog/9.png,dog,True',
    ]
    writeFileSync(at('table.csv'), `path,label,is_valid\n${rows.join('\n')}\n`)
    const table = await getImagesFromCsv(folder, { file: 'table.csv', platform })
    const block = new DataBlock({
      blocks: [ImageBlock(), CategoryBlock()],
      getItems: () => table.items,
      getY: table.column('label'),
      splitter: columnSplitter(table),
    })
    await expect(block.loaders(folder, { platform })).rejects.toThrow(
      `2 of 5, the first of them:\n   1          ${folder}/valid/cat/9.png: no such file or folder`,
    )
  })
})

describe('images to measure on that are trained on too are named', () => {
  const twin = (pair: string, count = 1) =>
    `${count} of 10 images to measure on are trained on too, which makes results look better than they are: ${pair}`

  test('copies under another name', async () => {
    await writeSet()
    copyFileSync(at('train/dog/3.png'), at('valid/dog/2.png'))
    await loaders()
    expect(lines[0]).toBe(twin('…/valid/dog/2.png = …/train/dog/3.png'))
  })

  test('links, symbolic and hard', async () => {
    await writeSet()
    rmSync(at('valid/dog/2.png'))
    rmSync(at('valid/cat/4.png'))
    symlinkSync(at('train/dog/3.png'), at('valid/dog/2.png'))
    linkSync(at('train/cat/0.png'), at('valid/cat/4.png'))
    await loaders()
    expect(lines[0]).toBe(twin('…/valid/cat/4.png = …/train/cat/0.png, …/valid/dog/2.png = …/train/dog/3.png', 2))
  })

  test('not files of one size that differ only behind their beginning', async () => {
    await writeSet()
    const bytes = new Uint8Array(await (await import('node:fs/promises')).readFile(at('train/cat/0.png')))
    for (const [path, last] of [
      ['train/cat/0.png', 1],
      ['valid/cat/0.png', 2],
    ] as const) {
      writeFileSync(at(path), Uint8Array.from([...bytes, ...new Uint8Array(5000), last]))
    }
    await loaders()
    expect(lines.length).toBe(1)
  })
})

test('verifyImages decodes all of them', async () => {
  await writeSet()
  const bytes = await platform.files.read(at('train/cat/0.png'))
  writeFileSync(at('train/cat/1.png'), bytes.subarray(0, bytes.length - 30))
  writeFileSync(at('train/dog/1.png'), 'x')
  const paths = [...(await getImageFiles(folder, { platform })), at('gone.png')]
  const bad = await verifyImages(paths, { platform })
  expect(
    bad.map(({ path, reason }) => [path.slice(folder.length + 1), reason.slice(path.length + 2).split('\n')[0]]),
  ).toEqual([
    ['train/cat/1.png', 'a PNG that is cut short or damaged (it does not end with an IEND chunk)'],
    ['train/dog/1.png', 'not an image (starts 78, the text "x")'],
    ['gone.png', 'no such file or folder'],
  ])
  expect(await verifyImages([], { platform })).toEqual([])
})
