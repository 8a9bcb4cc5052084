import { describe, expect, test } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import { contactSheet, sheetFormat, sheetPixels, writeSheet, type LabeledImage } from '../../src/data/contact-sheet.ts'
import type { CaptionRequest } from '../../src/image/caption.ts'
import type { Pixels } from '../../src/image/pixels.ts'
import { decodePng, encodePng } from '../../src/platform/node/png.ts'
import { fakePlatform } from '../helpers/fake-platform.ts'
import { memoryFiles } from '../helpers/memory-files.ts'

/** An even image whose bytes are all `value`, and opaque. */
function grey(value: number, width = 120, height = 10): Pixels {
  return {
    width,
    height,
    data: new Uint8Array(4 * width * height).fill(value).map((byte, i) => (i % 4 === 3 ? 255 : byte)),
  }
}

/** A platform whose captions are blocks, 2 pixels wide for each character. */
function platform() {
  const requests: CaptionRequest[] = []
  const lines: string[] = []
  const drawText = (request: CaptionRequest) => {
    requests.push(request)
    const width = Math.min(request.width, 2 * request.text.length)
    const height = 6 * request.text.split('\n').length
    const data = new Uint8Array(4 * width * height)
    for (let i = 0; i < data.length; i += 4) data.set([...request.color, 255], i)
    return Promise.resolve({ width, height, data })
  }
  return { requests, lines, drawText, encodePng, log: (line: string) => void lines.push(line) }
}

const colorAt = ({ width, data }: Pixels, x: number, y: number) => [
  ...data.subarray(4 * (y * width + x), 4 * (y * width + x) + 3),
]

/** Contrast of a color with white, 1 to 21. Source: WCAG 2.2, contrast ratio. */
function contrast(color: readonly number[]): number {
  const [r, g, b] = color.map((value) => (value <= 10 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4))
  return 1.05 / (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05)
}

describe('a PNG', () => {
  test('has images in a grid, captions centered below them, rows as high as they need', async () => {
    const device = platform()
    const tiles: LabeledImage[] = [
      { image: grey(50), label: 'ab' },
      { image: grey(100), label: 'cd' },
      { image: grey(200), label: 'e' },
    ]
    const sheet = await sheetPixels(tiles, device)
    expect([sheet.width, sheet.height]).toEqual([8 + 2 * 128, 8 + 10 + 6 + 24 + 10 + 6 + 16])
    expect([colorAt(sheet, 8, 8), colorAt(sheet, 136, 17), colorAt(sheet, 8, 48)].map(([red]) => red)).toEqual([
      50, 100, 200,
    ])
    expect([colorAt(sheet, 0, 0), colorAt(sheet, 130, 12)]).toEqual([
      [255, 255, 255],
      [255, 255, 255],
    ])
    // A caption of 4 pixels in the middle of 120.
    expect([65, 66, 69, 70].map((x) => colorAt(sheet, x, 26)[0])).toEqual([255, 17, 17, 255])
    expect(device.requests.map(({ text, width }) => [text, width])).toEqual([
      ['ab', 120],
      ['cd', 120],
      ['e', 120],
    ])
    expect(decodePng(await contactSheet(tiles, 'png', device))).toEqual(sheet)
  })

  test('small images are enlarged until their labels can be read, and not smoothed', async () => {
    const image = grey(10, 28, 28)
    image.data.fill(90, 4, 7)
    const device = platform()
    const sheet = await sheetPixels([{ image, label: 'x' }], device)
    expect(device.requests[0].width).toBe(112)
    expect([11, 12, 15, 16].map((x) => colorAt(sheet, x, 8)[0])).toEqual([10, 90, 90, 10])
    expect(colorAt(sheet, 15, 11)[0]).toBe(90)
    expect(colorAt(sheet, 15, 12)[0]).toBe(10)
  })

  test('is green where the prediction is right and red where it is wrong, readable on white', async () => {
    const device = platform()
    await sheetPixels(
      [
        { image: grey(50), label: 'cat', predicted: 'cat' },
        { image: grey(50), label: 'cat', predicted: 'dog' },
        { image: grey(50), label: 'cat' },
      ],
      device,
    )
    const [right, wrong, plain] = device.requests
    expect([right.text, wrong.text, plain.text]).toEqual(['cat\ncat', 'cat\ndog', 'cat'])
    expect([right, wrong].map(({ color: [r, g] }) => (g > r ? 'green' : 'red'))).toEqual(['green', 'red'])
    for (const { color } of device.requests) expect(contrast(color)).toBeGreaterThan(5)
  })

  test('a long label is wrapped, not cut, without fonts too', async () => {
    const { encodePng: encode, lines, log } = platform()
    const label = `a_label_of ${'x'.repeat(69)}`
    const sheets = await Promise.all(
      [label.slice(0, 12), label].map((text) => sheetPixels([{ image: grey(50), label: text }], { log })),
    )
    expect(sheets[1].height).toBeGreaterThan(sheets[0].height + 4 * 14)
    expect(lines).toEqual([])
    await contactSheet([{ image: grey(50), label: 'кошка' }], 'png', { encodePng: encode, log })
    expect(lines).toEqual([
      "contact sheet: 'кошка' has characters that are drawn as ? here; npm install sharp, or write .html or .svg",
    ])
  })

  test('written without fonts, it has an HTML file beside it where letters are missing', async () => {
    const { encodePng: encode, lines, log } = platform()
    const files = memoryFiles()
    const device = { ...fakePlatform({ picture: () => grey(50), files }), encodePng: encode, log }
    await writeSheet(device, 'plain.png', [{ image: grey(50), label: 'cat' }], 'showBatch')
    expect([await files.exists('plain.html'), lines]).toEqual([false, []])
    await writeSheet(device, 'cats.png', [{ image: grey(50), label: 'кошка' }], 'showBatch')
    expect(decodePng(await files.read('cats.png')).width).toBeGreaterThan(120)
    expect(await files.readText('cats.html')).toContain('<div dir="auto">кошка</div>')
    expect(lines).toEqual([
      "contact sheet: cats.png has ? for characters such as those of 'кошка', which take the package sharp; cats.html has them",
    ])
  })

  test('a missing label takes no room', async () => {
    const sheet = await sheetPixels([{ image: grey(50), label: '' }], platform())
    expect(sheet.height).toBeLessThan(8 + 10 + 14 + 16)
  })
})

const TILES: LabeledImage[] = [
  { image: grey(50), label: 'кошка', predicted: 'кошка' },
  { image: grey(60), label: '<i>&"', predicted: 'قطة' },
  { image: grey(70), label: 'line\nbreak' },
  { image: grey(80), label: 'a_label_of_eighty_characters-which-goes-on/and.on_until_it_has_reached_the_end_X80X' },
]

describe.each(['svg', 'html'] as const)('a sheet in %s', (format) => {
  test('has labels as text, at full length, and images inside', async () => {
    const text = await contactSheet(TILES, format, platform())
    const images = [...text.matchAll(/data:image\/png;base64,([^"]+)"/g)].map(([, data]) =>
      decodePng(Buffer.from(data, 'base64')),
    )
    expect(images).toEqual(TILES.map(({ image }) => image))
    expect(text).toContain('кошка')
    expect(text).toContain('قطة')
    expect(text).toContain('&lt;i&gt;&amp;&quot;')
    expect(text).not.toContain('<i>')
    expect(text).toContain('line break')
    const words = text
      .replace(/<style>.*<\/style>/s, '')
      .replace(/<[^>]*>/g, '')
      .replaceAll(/\s/g, '')
    expect(words).toContain(TILES[3].label)
    // Nothing is loaded from elsewhere.
    expect(text.replace('http://www.w3.org/2000/svg', '')).not.toContain('http')
  })

  test('has fastai’s colors', async () => {
    const [right, wrong] = ['#006e00', '#be0000']
    const text = await contactSheet(TILES, format, platform())
    const plain = await contactSheet([TILES[2]], format, platform())
    if (format === 'svg') {
      expect([text.split(right).length - 1, text.split(wrong).length - 1]).toEqual([2, 2])
      expect(plain).not.toContain(right)
    } else {
      expect([...text.matchAll(/<figure( class="\w+")?>/g)].map(([, kind]) => kind)).toEqual([
        ' class="right"',
        ' class="wrong"',
        undefined,
        undefined,
      ])
      expect(text).toContain(`.right { color: ${right} }`)
      expect(text).toContain(`.wrong { color: ${wrong} }`)
    }
  })
})

test('lines of an SVG stay within their column and below their image', async () => {
  const text = await contactSheet(TILES, 'svg', platform())
  const [, width, height] = /<svg [^>]*width="(\d+)" height="(\d+)"/.exec(text)!.map(Number)
  const lines = [...text.matchAll(/<text x="(\d+)" y="(\d+)"/g)].map(([, x, y]) => [Number(x), Number(y)])
  expect(lines.length).toBeGreaterThan(7)
  expect(lines.every(([x, y]) => x < width && y < height)).toBe(true)
  expect(new Set(lines.map(([x]) => x))).toEqual(new Set([8 + 60, 136 + 60]))
  expect(new Set(lines.map(([x, y]) => `${x} ${y}`)).size).toBe(lines.length)
})

test('the extension says the format, and others are refused', async () => {
  expect(['a.png', 'b.SVG', 'c.d.html'].map((file) => sheetFormat('showBatch', file))).toEqual(['png', 'svg', 'html'])
  expect(() => sheetFormat('showBatch', 'a.jpg')).toThrow(OptionError)
  await expect(contactSheet([], 'png', platform())).rejects.toThrow('contactSheet: there are no images')
})
