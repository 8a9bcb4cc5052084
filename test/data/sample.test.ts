import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DataError, OptionError } from '../../src/base/errors.ts'
import { rng } from '../../src/base/rng.ts'
import { decodeImage } from '../../src/image/decode.ts'
import { drawPicture, thingNames } from '../../src/image/drawing.ts'
import { getImageFiles, parentLabel } from '../../src/data/items.ts'
import { sampleClasses, sampleData } from '../../src/data/sample.ts'
import { grandparentSplitter } from '../../src/data/splitters.ts'
import { datasets } from '../../src/platform/node/archive.ts'
import { nodeFiles } from '../../src/platform/node/files.ts'
import type { Files, Platform } from '../../src/platform/platform.ts'

let home = ''
let printed: string[] = []

const platformWith = (changes: object = {}) =>
  ({
    name: 'node',
    files: nodeFiles,
    datasets,
    env: () => undefined,
    log: (line: string) => printed.push(line),
    status: undefined,
    ...changes,
  }) as unknown as Platform
const make = (images: number, changes = {}) => sampleData({ images, home, platform: platformWith(changes) })
const noPng = () => {
  throw new Error('not a PNG')
}

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'wgrad-sample-'))
})
afterAll(() => rmSync(home, { recursive: true }))

describe('sampleData', () => {
  test('is a folder of class folders of JPEG files of many sizes', async () => {
    const shown: string[] = []
    const folder = await make(60, { status: (text: string) => shown.push(text) })
    expect(shown.slice(-2)).toEqual(['drawing the sample: 60 of 60 images', ''])
    expect(folder).toBe(join(home, 'data', 'wgrad-sample-2-60'))
    const items = await getImageFiles(folder, { platform: platformWith() })
    const { train, valid } = grandparentSplitter({ valid: 'val' })(items)
    expect([items.length, train.length, valid.length]).toEqual([60, 50, 10])
    for (const name of sampleClasses) {
      expect([...train].filter((i) => parentLabel(items[i]) === name).length).toBe(5)
      expect([...valid].filter((i) => parentLabel(items[i]) === name).length).toBe(1)
    }
    const pictures = await Promise.all(
      items.map((item) => decodeImage(item, readFileSync(item), { inflate: noPng, decode: noPng })),
    )
    const sizes = new Set(pictures.map(({ width, height }) => `${width}×${height}`))
    expect(sizes.size).toBeGreaterThan(50)
    expect(pictures.some(({ width, height }) => width > 1.3 * height)).toBe(true)
    expect(pictures.some(({ width, height }) => height > 1.3 * width)).toBe(true)
  })

  test('is found again, and is the same when drawn again', async () => {
    const folder = await make(60)
    const file = join(folder, 'val', 'spiral', '0004.jpg')
    const drawn = readFileSync(file)
    printed = []
    expect(await make(60)).toBe(folder)
    expect(printed).toEqual([])
    rmSync(folder, { recursive: true })
    await make(60)
    expect(printed).toEqual([`drew a sample of 60 images: ${folder}`])
    expect(readFileSync(file).equals(drawn)).toBe(true)
  })

  test('appears whole or not at all', async () => {
    let left = 10
    const write: Files['write'] = (path, content) =>
      left-- > 0 ? nodeFiles.write(path, content) : Promise.reject(new DataError(path, 'no space left on the device'))
    await expect(make(50, { files: { ...nodeFiles, write } })).rejects.toThrow('no space left')
    expect(readdirSync(join(home, 'data')).filter((name) => name.includes('sample-1-50'))).toEqual([])
  })

  test('refuses too few images, and a platform without a disk', async () => {
    await expect(make(49)).rejects.toThrow(OptionError)
    await expect(make(50.5)).rejects.toThrow('expected a whole number from 50 on')
    await expect(make(70, { datasets: undefined })).rejects.toThrow(DataError)
  })
})

test('colour alone tells nothing: the picture of the nearest mean colour is seldom of the same class', () => {
  const means = Array.from({ length: 300 }, (_, i) => {
    const { data } = drawPicture(thingNames[i % 10], rng(1, 'colour', i))
    const sum = [0, 0, 0]
    for (let at = 0; at < data.length; at++) if (at % 4 < 3) sum[at % 4] += data[at]
    return { mean: sum.map((value) => value / (data.length / 4)), label: i % 10 }
  })
  const hits = means.filter(({ mean, label }, i) => {
    let nearest = { label: -1, distance: Infinity }
    means.forEach((other, j) => {
      const distance = Math.hypot(...mean.map((value, c) => value - other.mean[c]))
      if (i !== j && distance < nearest.distance) nearest = { label: other.label, distance }
    })
    return nearest.label === label
  }).length
  // By chance 30 of 300 hit, with a deviation of 5.2.
  expect(hits).toBeLessThan(50)
})
