import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import jpeg from 'jpeg-js'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readImageFolder, type ImageFolder } from '../../src/data/image-folder.ts'
import { stratifiedSplitter } from '../../src/data/splitters.ts'
import { surveyImages } from '../../src/data/survey.ts'
import { PageFiles } from '../../src/platform/browser/page-files.ts'
import { createNodePlatform } from '../../src/platform/node/index.ts'

const platform = { ...createNodePlatform({ threads: 0 }), log: () => {}, status: undefined }

let path = ''
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'wgrad-survey-'))
})
afterEach(() => rmSync(path, { recursive: true }))

/** Writes an image whose grey is its number, so that no two are alike. */
function put(name: string, grey: number, size = 40): void {
  mkdirSync(dirname(join(path, name)), { recursive: true })
  const image = { width: size, height: size, data: Buffer.alloc(size * size * 4, grey) }
  writeFileSync(join(path, name), jpeg.encode(image, 90).data)
}

function classOf(name: string, count: number, from: number): void {
  for (let i = 0; i < count; i++) put(`${name}/${i}.jpg`, from + i)
}

async function survey() {
  const looked = await surveyImages(await readImageFolder(path, { platform }), { platform })
  return { ...looked, found: looked.findings.map(({ kind, severity, files }) => ({ kind, severity, files })) }
}

test('finds nothing in a folder without faults, and knows sizes and formats', async () => {
  classOf('a', 10, 0)
  classOf('b', 12, 100)
  const { findings, images, classes } = await survey()
  expect(findings).toEqual([])
  expect(classes).toEqual(['a', 'b'])
  expect(images[0]).toMatchObject({ name: 'a/0.jpg', width: 40, height: 40, format: 'JPEG' })
})

test('knows formats and copies in a page, whose files are an object of a class', async () => {
  put('a/1.jpg', 10)
  put('b/2.jpg', 20)
  copyFileSync(join(path, 'a/1.jpg'), join(path, 'a/copy.jpg'))
  const page = { ...platform, files: new PageFiles(platform.files) }
  const { images, findings } = await surveyImages(await readImageFolder(path, { platform: page }), { platform: page })
  expect(images.map(({ format }) => format)).toEqual(['JPEG', 'JPEG', 'JPEG'])
  expect(findings.filter(({ kind }) => kind === 'copies').map(({ files }) => files)).toEqual([['a/1.jpg = a/copy.jpg']])
})

test('files of one size that differ only far behind their beginning are no copies', async () => {
  put('a/1.jpg', 10)
  put('b/2.jpg', 20)
  const bytes = readFileSync(join(path, 'a/1.jpg'))
  for (const tail of [1, 2]) {
    writeFileSync(join(path, `a/tail ${tail}.jpg`), Buffer.concat([bytes, Buffer.alloc(8192, 0), Buffer.of(tail)]))
  }
  const { found } = await survey()
  expect(found.filter(({ kind }) => kind.startsWith('cop'))).toEqual([])
})

test('reads no file to its end that begins otherwise than all of its size', async () => {
  classOf('a', 10, 0)
  classOf('b', 10, 100)
  const read: string[] = []
  const { files } = platform
  const counting = {
    ...platform,
    files: { ...files, read: (file: string) => (read.push(basename(file)), files.read(file)) },
  }
  const look = async () => surveyImages(await readImageFolder(path, { platform }), { platform: counting })
  expect((await look()).findings).toEqual([])
  expect(read).toEqual([])
  copyFileSync(join(path, 'a/1.jpg'), join(path, 'b/copy.jpg'))
  const { findings } = await look()
  expect(findings.map(({ kind, files: found }) => [kind, found])).toEqual([
    ['copy-with-two-labels', ['a/1.jpg = b/copy.jpg']],
  ])
  expect(read.sort()).toEqual(['1.jpg', 'copy.jpg'])
})

test('leaves out what cannot be read, by reason, and names classes with few images and unequal ones', async () => {
  classOf('rare', 1, 0)
  classOf('usual', 21, 50)
  put('usual/small.jpg', 200, 20)
  writeFileSync(join(path, 'usual', 'text.jpg'), 'no image')
  writeFileSync(join(path, 'usual', 'empty.png'), '')
  const half = readFileSync(join(path, 'usual', '1.jpg'))
  writeFileSync(join(path, 'usual', 'half.jpg'), half.subarray(0, half.length / 2))
  const { found, leftOut, images, findings } = await survey()
  expect(images).toHaveLength(23)
  expect(leftOut.map(({ name }) => name)).toEqual(['usual/empty.png', 'usual/half.jpg', 'usual/text.jpg'])
  expect(leftOut[0].reason).toBe('the file is empty')
  const unreadable = found.filter(({ kind }) => kind === 'unreadable')
  expect(unreadable.map(({ files }) => files)).toEqual([['usual/empty.png'], ['usual/half.jpg'], ['usual/text.jpg']])
  expect(found.filter(({ kind }) => kind !== 'unreadable')).toEqual([
    { kind: 'few-images', severity: 'warning', files: [] },
    { kind: 'unequal-classes', severity: 'warning', files: [] },
    { kind: 'small-images', severity: 'warning', files: ['usual/small.jpg'] },
  ])
  expect(findings.find(({ kind }) => kind === 'few-images')?.text).toBe(
    'rare has only 1 image, so that nothing is measured of it. More images help most',
  )
})

test('many classes with few images are told together', async () => {
  for (let i = 0; i < 7; i++) classOf(`class ${i}`, i === 3 ? 1 : 2, 10 * i)
  const { findings } = await survey()
  expect(findings.map(({ kind }) => kind)).toEqual(['few-images'])
  expect(findings[0].text).toBe(
    '7 of 7 classes have fewer than 10 images (class 3: 1, class 0: 2, class 1: 2, class 2: 2, class 4: 2, …), of which a fifth is measured on: their results will be a matter of chance. More images help most',
  )
})

test('hundreds of thousands of classes are told together', async () => {
  const images = Array.from({ length: 150_000 }, (_, i) => ({ path: `${i}.jpg`, label: `${i}`, target: `${i}` }))
  const folder = { images, apart: [], targets: { kind: 'class' } } as unknown as ImageFolder
  const pixels = { width: 32, height: 32, data: new Uint8Array(4 * 32 * 32) }
  const { findings } = await surveyImages(folder, {
    platform: {
      ...platform,
      files: { ...platform.files, glance: undefined },
      decoder: { ...platform.decoder, decode: () => Promise.resolve(pixels) },
    },
  })
  expect(findings.map(({ text }) => text.slice(0, 27))).toEqual(['150000 of 150000 classes ha'])
})

test('one class cannot be trained on', async () => {
  classOf('a', 10, 0)
  expect((await survey()).found).toEqual([{ kind: 'one-class', severity: 'error', files: [] }])
})

test('copies are found: under two labels, on both sides, or harmless', async () => {
  for (const side of ['train', 'valid']) {
    classOf(`${side}/a`, 10, side === 'train' ? 0 : 20)
    classOf(`${side}/b`, 10, side === 'train' ? 40 : 60)
  }
  const copy = (from: string, to: string) => writeFileSync(join(path, to), readFileSync(join(path, from)))
  copy('train/a/1.jpg', 'train/a/again.jpg')
  copy('train/a/2.jpg', 'valid/a/across.jpg')
  copy('train/a/3.jpg', 'train/b/wrong.jpg')
  expect((await survey()).found).toEqual([
    { kind: 'copy-with-two-labels', severity: 'warning', files: ['train/a/3.jpg = train/b/wrong.jpg'] },
    { kind: 'copy-across', severity: 'warning', files: ['train/a/2.jpg = valid/a/across.jpg'] },
    { kind: 'copies', severity: 'note', files: ['train/a/1.jpg = train/a/again.jpg'] },
  ])
})

test('a class that is only measured on is left out', async () => {
  classOf('train/a', 10, 0)
  classOf('train/b', 10, 20)
  classOf('valid/a', 2, 40)
  classOf('valid/c', 2, 60)
  const { found, leftOut, classes } = await survey()
  expect(classes).toEqual(['a', 'b'])
  expect(found).toEqual([{ kind: 'unseen-class', severity: 'warning', files: ['valid/c/0.jpg', 'valid/c/1.jpg'] }])
  expect(leftOut.map(({ reason }) => reason)).toEqual(new Array(2).fill('its class c has no image to train on'))
})

test('labels and numbers of a table: few, unseen, all the same', async () => {
  for (let i = 0; i < 12; i++) put(`${i}.jpg`, 10 * i)
  const table = (header: string, row: (i: number) => string) =>
    writeFileSync(
      join(path, 'labels.csv'),
      [header, ...Array.from({ length: 12 }, (_, i) => `${i},${row(i)}`), ''].join('\n'),
    )
  table('id,label,split', (i) => `${['a|b', 'a', 'a|c'][i < 10 ? i % 2 : i - 9]},${i < 10 ? 'train' : 'valid'}`)
  const several = await survey()
  expect(several.classes).toEqual(['a', 'b'])
  expect(several.found).toEqual([
    { kind: 'unseen-class', severity: 'warning', files: ['11.jpg'] },
    { kind: 'few-images', severity: 'warning', files: [] },
  ])
  expect(several.leftOut.map(({ reason }) => reason)).toEqual(['no image to train on has one of its labels, a; c'])
  table('id,x,y', (i) => `${i},2`)
  expect(await survey()).toMatchObject({ classes: [], found: [] })
  table('id,x,y', () => '1,2')
  expect((await survey()).found).toEqual([{ kind: 'one-number', severity: 'error', files: [] }])
  table('id,label', () => '')
  expect((await survey()).found.map(({ kind }) => kind)).toContain('one-class')
})

test('a stratified split has a part of every class, the same for a seed, with copies on one side', () => {
  const items = [
    ...Array.from({ length: 20 }, (_, i) => `a/${i}`),
    ...Array.from({ length: 5 }, (_, i) => `b/${i}`),
    'c/0',
    'd/0',
    'd/1',
  ]
  const labelOf = (item: string) => item[0]
  const split = stratifiedSplitter({ labelOf, seed: 1 })(items)
  const measured = Array.from(split.valid, (i) => items[i])
  expect(['a', 'b', 'c', 'd'].map((label) => measured.filter((item) => item[0] === label).length)).toEqual([4, 1, 0, 1])
  expect([...split.train, ...split.valid].sort((a, b) => a - b)).toEqual([...items.keys()])
  expect(stratifiedSplitter({ labelOf, seed: 1 })(items)).toEqual(split)
  expect(stratifiedSplitter({ labelOf, seed: 2 })(items)).not.toEqual(split)
  // Other classes change nothing about one.
  const fewer = items.filter((item) => item[0] !== 'b')
  const again = Array.from(stratifiedSplitter({ labelOf, seed: 1 })(fewer).valid, (i) => fewer[i])
  expect(again).toEqual(measured.filter((item) => item[0] !== 'b'))
  for (let seed = 0; seed < 10; seed++) {
    const pairs = stratifiedSplitter({
      labelOf,
      seed,
      together: (item) => item.replace(/[13579]$/, (n) => String(Number(n) - 1)),
    })
    const { valid } = pairs(items)
    for (const i of valid) if (items[i] === 'a/2') expect(valid).toContain(items.indexOf('a/3'))
  }
  expect(() => stratifiedSplitter({ labelOf })(['a/0', 'b/0'])).toThrow('no item is left to measure on')
  expect(() => stratifiedSplitter({ labelOf, validPercent: 1 })).toThrow('validPercent is out of range')
})
