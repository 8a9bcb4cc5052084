import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { countsOf, look, lookJson, lookText } from '../../src/cli/look.ts'
import type { Output } from '../../src/cli/output.ts'
import { requireShareFor } from '../../src/cli/train/split.ts'
import type { Side } from '../../src/data/image-folder.ts'
import type { Survey } from '../../src/data/survey.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'
import { fakePlatform } from '../helpers/fake-platform.ts'

test('images of many classes are counted by looking at each of them once', () => {
  const classes = Array.from({ length: 1000 }, (_, i) => `class ${i}`)
  let looked = 0
  const image = (i: number) => ({
    path: `${i}.jpg`,
    get target() {
      looked++
      return classes[i % classes.length]
    },
  })
  const images = Array.from({ length: 5000 }, (_, i) => image(i))
  const survey = { classes, images, leftOut: [image(7), image(1007)] } as unknown as Survey
  const sideOf = (path: string): Side => (Number.parseInt(path) < 1000 ? 'valid' : 'train')
  const counts = countsOf(survey, sideOf)
  expect(counts).toHaveLength(1000)
  expect(counts[6]).toEqual({ name: 'class 6', train: 4, valid: 1, leftOut: 0 })
  expect(counts[7]).toEqual({ name: 'class 7', train: 4, valid: 1, leftOut: 2 })
  expect(looked).toBeLessThan(3 * images.length)
})

test('an image of several labels counts for each', () => {
  const images = [
    { path: '1.jpg', target: ['a', 'b'] },
    { path: '2.jpg', target: [] },
  ]
  const survey = { classes: ['a', 'b'], images, leftOut: [{ path: '3.jpg', target: ['b', 'rare'] }] }
  expect(countsOf(survey as unknown as Survey, () => undefined)).toEqual([
    { name: 'a', train: 1, valid: 0, leftOut: 0 },
    { name: 'b', train: 1, valid: 0, leftOut: 1 },
  ])
})

test('one class is called a class', () => {
  const folder = { path: 'set', description: 'class folders', layout: 'folders', targets: { kind: 'class' } }
  const survey = { folder, images: [], classes: ['a'], findings: [] } as unknown as Survey
  expect(lookText(survey, [], '')).toMatch(/^0 images of 1 class: class folders in set\n/)
})

test('counts, sizes and formats are below and beside their names, and a finding names few files', () => {
  const image = (width: number, height: number, format: string) => ({ width, height, format })
  const images = [
    image(10, 10, 'PNG'),
    image(40, 30, 'JPEG'),
    image(20, 10, 'JPEG'),
    image(5, 90, 'JPEG'),
    image(9, 9, 'GIF'),
  ]
  const folder = {
    path: 'set',
    description: 'labels of a.csv',
    layout: 'table',
    targets: { kind: 'class', description: 'classes' },
  }
  const findings = [{ severity: 'warning', text: 'copies', files: ['1', '2', '3', '4', '5'] }]
  const survey = { folder, images, classes: ['a', 'b'], findings, leftOut: [] } as unknown as Survey
  const counts = [
    { name: 'a', train: 30, valid: 7, leftOut: 2 },
    { name: 'b', train: 1, valid: 0, leftOut: 0 },
  ]
  expect(`\n${lookText(survey, counts, 'split    at random')}\n`).toMatchInlineSnapshot(`
    "
    5 images of 2 classes: labels of a.csv in set

    class  images  train  measure  left out
    a          37     30        7         2
    b           1      1        0         0

    targets  classes (--targets, if they are something else)
    split    at random
    sizes    9 × 9 to 40 × 30 pixels, half of them 20 × 10 or larger
    formats  JPEG 3, PNG 1, GIF 1

      ! copies
          1
          2
          3
          … and 2 more
    "
  `)
})

test('numbers have their range by the names of their columns, in words and as a document', () => {
  const targets = { kind: 'numbers', columns: ['x', 'y'], description: 'numbers of the columns x, y' }
  const folder = { path: 'set', description: 'labels of a.csv', layout: 'table', targets }
  const images = ['1 40', '2 20', '6 30'].map((cells) => ({
    width: 1,
    height: 1,
    format: 'PNG',
    target: cells.split(' '),
  }))
  const leftOut = [{ name: 'b.png', target: ['1', '2'], label: '1, 2', reason: 'damaged' }]
  const survey = { folder, images, classes: [], findings: [], leftOut } as unknown as Survey
  expect(lookJson(survey, [])).toMatchObject({
    images: 3,
    numbers: [
      { name: 'x', lowest: 1, mean: 3, highest: 6 },
      { name: 'y', lowest: 20, mean: 30, highest: 40 },
    ],
    leftOut: [{ file: 'b.png', label: '1, 2', reason: 'damaged' }],
  })
  const text = lookText(survey, [], '')
  expect(text).toMatch(/^column  lowest  mean  highest\nx            1     3        6\ny           20    30       40$/m)
  expect(text).toContain('3 images with numbers: labels of a.csv in set')
})

test('a share of images that are divided already is refused before any of them is decoded', async () => {
  const path = mkdtempSync(join(tmpdir(), 'wgrad-look-'))
  for (const kind of ['train/cat', 'train/dog', 'val/cat', 'val/dog']) {
    mkdirSync(join(path, kind), { recursive: true })
    writeFileSync(join(path, kind, '1.jpg'), '')
  }
  const platform = fakePlatform({ files: nodePlatform.files })
  const output = { platform } as unknown as Output
  const looking = look(output, path, {}, { onFolder: (folder) => requireShareFor(folder, { share: 0.3 }) })
  await expect(looking).rejects.toThrow('say already what is measured on')
  expect(platform.decoded).toEqual([])
  await look(output, path, {})
  expect(platform.decoded).toHaveLength(4)
  rmSync(path, { recursive: true })
})
