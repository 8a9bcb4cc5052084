import { describe, expect, test } from 'vitest'
import { augTransforms } from '../../src/data/augment/transforms.ts'
import { normalize } from '../../src/data/augment/normalize.ts'
import { batchImages, contactSheet, showBatch, toImage, type LabeledImage } from '../../src/data/show.ts'
import type { Pixels } from '../../src/image/pixels.ts'
import { decodePng, encodePng } from '../../src/platform/node/png.ts'
import { fakePlatform } from '../helpers/fake-platform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { memoryFiles } from '../helpers/memory-files.ts'
import { stripes, tinyLoaders, type TinyOptions } from '../helpers/tiny.ts'

await openTestGpu()

const stats = { mean: [0.5, 0.25, 0], std: [0.5, 1, 2] } as const

test('normalisation is taken back, values are kept in range and truncated', () => {
  const image = toImage([0, 0, 0, 1, 0.25, 0.1, -5, 5, 0.4999], 3, 1, stats)
  expect([...image.data]).toEqual([127, 63, 0, 255, 255, 127, 51, 255, 0, 255, 254, 255])
})

test('pictures stand in a grid, labels below them', () => {
  const grey = (value: number) => ({ width: 24, height: 10, data: new Uint8Array(24 * 10 * 4).fill(value) })
  const sheet = contactSheet([
    { image: grey(50), label: 'ab' },
    { image: grey(100), label: 'i' },
    { image: grey(200), label: 'toolong' },
  ])
  expect([sheet.width, sheet.height]).toEqual([4 + 2 * 28, 4 + 2 * (10 + 14 + 4)])
  const at = (x: number, y: number) => sheet.data[(y * sheet.width + x) * 4]
  expect([at(4, 4), at(27, 13), at(28, 4), at(32, 4), at(4, 32)]).toEqual([50, 50, 0, 100, 200])
  // An A, an I below the second, a cut text below the third.
  const dots = (left: number, top: number) =>
    Array.from({ length: 5 }, (_, y) =>
      Array.from({ length: 12 }, (_, x) => (at(left + 2 * x, top + 2 * y) ? '#' : '.')).join(''),
    )
  expect(dots(4, 16)).toEqual(['.#..##......', '#.#.#.#.....', '###.##......', '#.#.#.#.....', '#.#.##......'])
  expect(dots(32, 16)[0]).toBe('###.........')
  expect(dots(4, 44)[0]).toBe('###..#...#..')
  expect(
    sheet.data.every((value, i) => i % 4 !== 3 || value === 255 || value === 50 || value === 100 || value === 200),
  ).toBe(true)
})

test('what was predicted stands on a second line', () => {
  const image = { width: 24, height: 10, data: new Uint8Array(24 * 10 * 4).fill(50) }
  const sheet = contactSheet([
    { image, label: 'a', predicted: 'i' },
    { image, label: 'ab' },
  ])
  expect([sheet.width, sheet.height]).toEqual([4 + 2 * 28, 4 + 10 + 26 + 4])
  const lit = (x: number, y: number) => (sheet.data[(y * sheet.width + x) * 4] === 255 ? '#' : '.')
  const dots = (left: number, top: number) =>
    Array.from({ length: 5 }, (_, y) => Array.from({ length: 7 }, (_, x) => lit(left + 2 * x, top + 2 * y)).join(''))
  expect(dots(4, 16)).toEqual(['.#.....', '#.#....', '###....', '#.#....', '#.#....'])
  expect(dots(4, 28)).toEqual(['###....', '.#.....', '.#.....', '.#.....', '###....'])
  expect(dots(32, 16)[0]).toBe('.#..##.')
  expect(dots(32, 28).join('')).not.toContain('#')
})

describe('showBatch', () => {
  const SIZE = 48
  const files = memoryFiles()
  const make = (options: TinyOptions = {}) => {
    const platform = Object.defineProperty(
      fakePlatform({ picture: (path) => stripes(path, SIZE), files }),
      'encodePng',
      { value: encodePng },
    )
    return tinyLoaders({ size: SIZE, platform, ...options })
  }

  /** Equal but for what normalising and taking it back rounds off, which is cut to the number below. */
  function expectPicture(actual: Pixels, expected: Pixels): void {
    expect([actual.width, actual.height]).toEqual([expected.width, expected.height])
    actual.data.forEach((value, i) => expect(Math.abs(value - expected.data[i])).toBeLessThanOrEqual(1))
  }

  test('writes pictures as they were before normalisation, each with its own label', async () => {
    const loaders = await make({ batchTransforms: [normalize({ mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] })] })
    await showBatch(loaders.valid, 'valid.png')
    const {
      pictures: { items: paths },
      items,
    } = loaders.valid
    const tiles: LabeledImage[] = [...items]
      .slice(0, 4)
      .map((item) => ({ image: stripes(paths[item], SIZE), label: paths[item].split('/')[1] }))
    expect(new Set(tiles.map(({ label }) => label)).size).toBe(3)
    // As many as a batch holds, though nine were asked for.
    expectPicture(decodePng(await files.read('valid.png')), contactSheet(tiles))
    await showBatch(loaders.valid, 'two.png', { count: 2 })
    expectPicture(decodePng(await files.read('two.png')), contactSheet(tiles.slice(0, 2)))
  })

  test('shows the first training batch of an epoch, or one picture again and again', async () => {
    const { train } = await make({ train: 40, batchTransforms: augTransforms() })
    const bytes = async (options: Parameters<typeof batchImages>[1]) =>
      (await batchImages(train, options)).map(({ image, label }) => `${label} ${image.data.join()}`)
    const first = await bytes({ epoch: 3, count: 3 })
    expect(await bytes({ epoch: 3, count: 4 })).toEqual([...first, expect.any(String)])
    expect(await bytes({ epoch: 4, count: 3 })).not.toEqual(first)
    const again = await batchImages(train, { epoch: 3, count: 6, unique: true })
    expect(new Set(again.map(({ label }) => label))).toEqual(new Set([first[0].split(' ')[0]]))
    expect(new Set(again.map(({ image }) => image.data.join())).size).toBe(6)
    // Without random transforms it is always the same.
    const plain = await batchImages(train, { epoch: 3, count: 3, unique: true, draws: 'valid' })
    expect(new Set(plain.map(({ image }) => image.data.join())).size).toBe(1)
  })

  test('refuses what is no count, and a file of another kind', async () => {
    const { valid } = await make()
    await expect(showBatch(valid, 'x.jpg', { count: 1 })).rejects.toThrowErrorMatchingInlineSnapshot(`
      [OptionError: showBatch: the extension does not match the format written
        file  x.jpg
        expected a path that ends in .png]
    `)
    await expect(showBatch(valid, 'x.png', { count: 0 })).rejects.toThrow('showBatch: count is out of range')
  })
})
