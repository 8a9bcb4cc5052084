import { describe, expect, test } from 'vitest'
import { augTransforms } from '../../src/data/augment/transforms.ts'
import { normalize } from '../../src/data/augment/normalize.ts'
import { sheetPixels, type LabeledImage } from '../../src/data/contact-sheet.ts'
import { batchImages, showBatch, toImage } from '../../src/data/show.ts'
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
    expectPicture(decodePng(await files.read('valid.png')), await sheetPixels(tiles, loaders.platform))
    await showBatch(loaders.valid, 'two.png', { count: 2 })
    expectPicture(decodePng(await files.read('two.png')), await sheetPixels(tiles.slice(0, 2), loaders.platform))
    await showBatch(loaders.valid, 'valid.html', { count: 2 })
    expect(await files.readText('valid.html')).toContain(`<div dir="auto">${tiles[0].label}</div>`)
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
      [OptionError: showBatch: the extension does not match a format that is written
        file  x.jpg
        expected a path that ends in .png, .svg or .html]
    `)
    await expect(showBatch(valid, 'x.png', { count: 0 })).rejects.toThrow('showBatch: count is out of range')
  })
})
