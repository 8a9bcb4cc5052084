import { readFileSync } from 'node:fs'
import sharp, { type SharpOptions } from 'sharp'
import { describe, expect, test } from 'vitest'
import { DataError, DecodeError } from '../../src/base/errors.ts'
import { decodeImage, type DecodeImageOptions, type PlatformDecoder } from '../../src/image/decode.ts'
import { inGrey } from '../../src/image/grey.ts'
import { checkKind, imageKind } from '../../src/image/image-kind.ts'
import { decodePng, encodePng, pngReader } from '../../src/platform/node/png.ts'
import { sharpDecoder } from '../../src/platform/node/sharp.ts'
import { turboDecoder } from '../../src/platform/node/turbo.ts'
import { DEFAULT_DECODING, FORMER_DECODING } from '../../src/image/decode-options.ts'
import type { Pixels } from '../../src/image/pixels.ts'
import { resizePixels, shrinkFor } from '../../src/image/resize.ts'
import { pngFile } from '../helpers/png-file.ts'

interface Case {
  readonly name: string
  readonly file: string
  readonly width: number
  readonly height: number
  readonly rgb: string
}

interface Golden {
  readonly header: { readonly pillow: string }
  readonly cases: readonly Case[]
  /** Files with an orientation, which is applied. */
  readonly upright: readonly Case[]
  /** Files in formats that the platform's decoder reads. */
  readonly others: readonly Case[]
  readonly refused: readonly { name: string; file: string }[]
}

const golden: Golden = JSON.parse(readFileSync(new URL('../golden/decode.json', import.meta.url), 'utf8'))
const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'))
const fileOf = (name: string): Uint8Array => {
  const found = [...golden.cases, ...golden.refused].find((c) => c.name === name)
  if (found === undefined) throw new Error(`decode.json has no '${name}'; run test/golden/make_decode.py`)
  return bytesOf(found.file)
}
const decode = (bytes: Uint8Array, path = 'train/x.JPEG', options: DecodeImageOptions = {}): Promise<Pixels> =>
  decodeImage(path, bytes, pngReader, options)
const stored = { decoding: FORMER_DECODING } as const
const byTurbo = { decoding: { ...DEFAULT_DECODING, decoder: 'turbo' }, platform: await turboDecoder() } as const
/**
 * A grey TIFF of 2 × 2 samples of 32 bits. Source: TIFF 6.0, sections 2 and 8.
 *
 * @param format  2 for signed integers, 3 for floats (SampleFormat)
 */
function tiffOf32Bits(format: 2 | 3): Uint8Array {
  const tags = [256, 257, 258, 259, 262, 273, 277, 278, 279, 339]
  const data = 8 + 2 + 12 * tags.length + 4
  // Width, height, bits, no compression, black is zero, place of the data, samples of a pixel, rows, bytes, format.
  const values = [2, 2, 32, 1, 1, data, 1, 2, 16, format]
  const view = new DataView(new ArrayBuffer(data + 16))
  const header = [0x4949, 42, 8, 0, tags.length, ...tags.flatMap((tag, i) => [tag, 3, 1, 0, values[i], 0]), 0, 0]
  header.forEach((value, i) => view.setUint16(2 * i, value, true))
  for (let i = 0; i < 4; i++) view.setFloat32(data + 4 * i, i / 3, true)
  return new Uint8Array(view.buffer)
}

const bySharp = { decoding: { ...DEFAULT_DECODING, decoder: 'sharp' }, platform: await sharpDecoder() } as const

/** The message, of a DataError only. */
async function refusal(bytes: Uint8Array): Promise<string> {
  const error: unknown = await decode(bytes).then(
    () => 'nothing was thrown',
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(DataError)
  return error instanceof DataError ? error.message : ''
}

/**
 * How far a decode may be from Pillow's, mean and largest difference in levels. PNG: not at all. JPEG of full-size
 * planes: the inverse transforms round differently (1), and jpeg-js truncates after the colour conversion (2 more).
 * Colours stored at half size: jpeg-js repeats them where libjpeg interpolates, half a pixel of a soft gradient.
 */
function allowed(name: string): { mean: number; largest: number } {
  if (name.startsWith('png')) return { mean: 0, largest: 0 }
  if (/grey|rgb|cmyk/.test(name)) return { mean: 0.15, largest: 1 }
  if (/42|440/.test(name)) return { mean: 1.5, largest: 6 }
  return { mean: 0.75, largest: 3 }
}

describe('the pixels are those of Pillow', () => {
  /** Compares with the pixels of Pillow; alpha must be 255. */
  function expectPixels(pixels: Pixels, { width, height, rgb }: Case, most: { mean: number; largest: number }): void {
    expect([pixels.width, pixels.height, pixels.data.length]).toEqual([width, height, width * height * 4])
    const expected = bytesOf(rgb)
    let sum = 0
    let largest = 0
    for (let i = 0, j = 0; i < pixels.data.length; i++) {
      if (i % 4 === 3) {
        expect(pixels.data[i]).toBe(255)
        continue
      }
      const difference = Math.abs(pixels.data[i] - expected[j++])
      sum += difference
      largest = Math.max(largest, difference)
    }
    const hint = `from Pillow ${golden.header.pillow}; test/golden/make_decode.py makes the expected values`
    expect(sum / expected.length, `mean difference ${hint}`).toBeLessThanOrEqual(most.mean)
    expect(largest, `largest difference ${hint}`).toBeLessThanOrEqual(most.largest)
  }

  test.each(golden.cases)('$name', async (one) => {
    // fastai applies no orientation.
    expectPixels(await decode(bytesOf(one.file), 'x', stored), one, allowed(one.name))
  })

  test.each(golden.upright)('$name, applied', async (one) => {
    expectPixels(await decode(bytesOf(one.file)), one, allowed(one.name))
  })

  const exactly = { mean: 0, largest: 0 }
  test.each([...golden.cases, ...golden.upright].filter(({ name }) => !/16 bits|cmyk|ycck|exif/.test(name)))(
    '$name, to the bit where sharp decodes it',
    async (one) => expectPixels(await decode(bytesOf(one.file), 'x', bySharp), one, exactly),
  )

  test.each([...golden.cases, ...golden.upright].filter(({ name }) => /^jpeg(?!.*(cmyk|ycck|exif))/.test(name)))(
    '$name, to the bit where jpeg-turbo decodes it',
    async (one) => expectPixels(await decode(bytesOf(one.file), 'x', byTurbo), one, exactly),
  )

  test('CMYK has the pixels of jpeg-js, whichever decoder is asked for', async () => {
    for (const name of ['jpeg cmyk', 'jpeg ycck', 'jpeg cmyk no adobe']) {
      const file = fileOf(name)
      for (const decoder of [byTurbo, bySharp]) expect(await decode(file, 'x', decoder)).toEqual(await decode(file))
    }
  })

  test('components called R, G and B are colours of YCbCr in a JFIF file, as libjpeg says', async () => {
    const file = fileOf('jpeg rgb')
    const jfif = [0xff, 0xe0, 0, 16, ...Buffer.from('JFIF\0'), 1, 1, 0, 0, 1, 0, 1, 0, 0]
    const marked = Uint8Array.from([...file.subarray(0, 2), ...jfif, ...file.subarray(2)])
    const [byJpegJs, byLibjpeg] = [await decode(marked), await decode(marked, 'x', byTurbo)]
    expect(Math.max(...byJpegJs.data.map((value, i) => Math.abs(value - byLibjpeg.data[i])))).toBeLessThanOrEqual(3)
    expect(byJpegJs).not.toEqual(await decode(file))
  })

  test('a decoder that is not installed is named', async () => {
    const without = { kinds: new Set<never>(), decode: () => Promise.reject(new Error('not there')) }
    for (const [decoder, name] of [
      ['sharp', 'sharp'],
      ['turbo', '@cwasm/jpeg-turbo'],
    ] as const) {
      const options = { platform: without, decoding: { ...DEFAULT_DECODING, decoder } }
      await expect(decode(fileOf('jpeg 444'), 'x', options)).rejects.toThrow(
        `decoder: '${decoder}' needs the package ${name}: npm install ${name}`,
      )
    }
  })

  test('shrunk on load, an image has nearly the pixels of the whole one', async () => {
    const [width, height] = [800, 600]
    const soft = Buffer.from(
      Array.from({ length: width * height * 3 }, (_, i) => {
        const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)]
        return 128 + 100 * Math.sin(x / 40 + (i % 3)) * Math.cos(y / 60)
      }),
    )
    const file = await sharp(soft, { raw: { width, height, channels: 3 } })
      .withMetadata({ orientation: 8 })
      .jpeg({ quality: 95 })
      .toBuffer()
    // The whole image: of a part of it, the box would be rounded to shrunk pixels, which moves it by up to one.
    const resize = { method: 'crop', width: 60, height: 80, position: [0.5, 0.5] } as const
    const [exact, fast] = await Promise.all(
      (['exact', 'fast'] as const).map((shrink) =>
        decode(file, 'x', { ...bySharp, resize, decoding: { ...bySharp.decoding, shrink } }),
      ),
    )
    expect(fast.data).not.toEqual(exact.data)
    expect(Math.max(...fast.data.map((value, i) => Math.abs(value - exact.data[i])))).toBeLessThanOrEqual(8)
    expect([shrinkFor(600, 800, resize), shrinkFor(479, 800, resize), shrinkFor(119, 800, resize)]).toEqual([8, 4, 1])
    // All of the image becomes 80 pixels on a side, of which 64 are kept.
    const middle = { method: 'middle', width: 64, height: 64, extra: 16 } as const
    expect([shrinkFor(640, 640, middle), shrinkFor(639, 640, middle)]).toEqual([8, 4])
  })

  test('shrunk on load, a WebP on its side has the pixels of the upright one', async () => {
    const raw = { width: 800, height: 600, channels: 3 } as const
    const stored = Buffer.from(Array.from({ length: 800 * 600 * 3 }, (_, i) => (i * i) >> 7))
    const turned = await sharp(stored, { raw }).rotate(90).webp({ lossless: true }).toBuffer()
    const onItsSide = await sharp(stored, { raw }).withMetadata({ orientation: 6 }).webp({ lossless: true }).toBuffer()
    const resize = { method: 'crop', width: 60, height: 80, position: [0.5, 0.5] } as const
    const options = { ...bySharp, resize, decoding: { ...bySharp.decoding, shrink: 'fast' } } as const
    expect(await decode(onItsSide, 'x', options)).toEqual(await decode(turned, 'x', options))
    const ignoring = { ...bySharp, decoding: { ...bySharp.decoding, orientation: 'ignore' } } as const
    expect((await decode(onItsSide, 'x', ignoring)).width).toBe(800)
  })

  test('a color profile changes no pixel', async () => {
    const raw = { width: 16, height: 16, channels: 3 } as const
    const pixels = Buffer.from(Array.from({ length: 16 * 16 * 3 }, (_, i) => (i * 37) % 256))
    const file = await sharp(pixels, { raw }).withIccProfile('p3').webp({ lossless: true }).toBuffer()
    const rgb = async (options?: SharpOptions) => [...(await sharp(file, options).raw().toBuffer())]
    const { data } = await decode(file, 'x', bySharp)
    expect(Array.from(data).filter((_, i) => i % 4 < 3)).toEqual(await rgb({ ignoreIcc: true }))
    expect(await rgb({ ignoreIcc: true })).not.toEqual([...pixels])
  })

  test('damaged data are refused by every decoder', async () => {
    const file = fileOf('jpeg 420')
    const gap = new Uint8Array([...file.subarray(0, file.length - 60), ...file.subarray(file.length - 2)])
    for (const options of [{}, byTurbo, bySharp]) {
      await expect(decode(gap, 'x', options)).rejects.toThrow('a damaged JPEG')
    }
  })

  test('jpeg-turbo decodes as before after any number of damaged files', async () => {
    const file = fileOf('jpeg 420')
    const before = await decode(file, 'x', byTurbo)
    const cut = new Uint8Array([...file.subarray(0, file.length / 2), 0xff, 0xd9])
    for (let n = 0; n < 50; n++) await expect(decode(cut, 'x', byTurbo)).rejects.toThrow('damaged')
    expect(await decode(file, 'x', byTurbo)).toEqual(before)
  })

  test.each(golden.others)('$name, by sharp', async (one) => {
    const { platform } = bySharp
    expectPixels(await decode(bytesOf(one.file), 'x', { platform }), one, exactly)
  })

  test('the result owns its memory, so that it can be handed to another thread', async () => {
    for (const { file } of golden.cases) {
      const { data } = await decode(bytesOf(file))
      expect(data.buffer.byteLength).toBe(data.byteLength)
    }
  })

  test('the resize follows', async () => {
    const resize = { width: 10, height: 10, method: 'crop', position: [0.5, 0.5] } as const
    const pixels = await decodeImage('x', fileOf('png rgb'), pngReader, { resize })
    expect([pixels.width, pixels.height, pixels.data.length]).toEqual([10, 10, 400])
  })

  test('grey comes before the resize, as of a grey image that fastai opens', async () => {
    const resize = { width: 10, height: 10, method: 'squish', position: [0.5, 0.5] } as const
    const file = fileOf('png rgb')
    const grey = await decode(file, 'x', { decoding: { ...DEFAULT_DECODING, channels: 1 }, resize })
    const color = await decode(file)
    expect(grey).toEqual(resizePixels(inGrey(color), resize))
    expect(grey).not.toEqual(inGrey(resizePixels(color, resize)))
  })

  test('bytes behind the end are ignored', async () => {
    for (const name of ['jpeg 420', 'png rgb']) {
      const file = fileOf(name)
      const longer = new Uint8Array([...file, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])
      expect((await decode(longer)).data).toEqual((await decode(file)).data)
    }
  })
})

describe('an orientation', () => {
  const size = async (...exif: readonly (readonly number[])[]) => {
    const { width, height } = await decode(withExif(fileOf('jpeg 444'), ...exif))
    return [width, height]
  }

  test('in metadata that are cut short counts where it is whole, and the image is read in any case', async () => {
    const whole = orientationOf(6)
    for (let length = 0; length <= whole.length; length++) {
      expect(await size(whole.slice(0, length)), String(length)).toEqual(length < 22 ? [29, 23] : [23, 29])
    }
  })

  test('is that of the first metadata that state one', async () => {
    const none = orientationOf(6).map((byte) => (byte === 0x12 ? 0x13 : byte))
    expect(await size(orientationOf(6), none)).toEqual([23, 29])
    expect(await size(none, orientationOf(6))).toEqual([23, 29])
    expect(await size(orientationOf(6), orientationOf(3))).toEqual([23, 29])
  })
})

describe('a decoder of the platform', () => {
  const decoding = { ...DEFAULT_DECODING, shrink: 'fast' } as const
  /** A decoder that refuses every file once it knows how far it may be shrunk. */
  const refusing = (divisors: number[]): PlatformDecoder => ({
    kinds: new Set(['JPEG'] as const),
    decode({ size, shrink }) {
      divisors.push(shrink(size?.width ?? 0, size?.height ?? 0))
      return Promise.reject(new Error('not for me'))
    },
  })

  test('may shrink by the upright image, and needs as much less memory', async () => {
    // 8000 × 6000 as stored, on its side as its metadata say.
    const file = withExif(fileOf('jpeg 444'), orientationOf(6))
    new DataView(file.buffer).setUint32(frameOf(file) + 5, (6000 << 16) | 8000)
    const large = Uint8Array.from([...file.subarray(0, -2), ...new Uint8Array(300_000).fill(1), ...file.subarray(-2)])
    const resize = { method: 'crop', width: 600, height: 800, position: [0.5, 0.5] } as const
    const divisorOf = async (orientation: 'apply' | 'ignore') => {
      const divisors: number[] = []
      const free = 8 * 8000 * 6000
      const options = { resize, decoding: { ...decoding, orientation }, platform: refusing(divisors) }
      await decode(large, 'x', { ...options, availableBytes: () => free / 16 }).catch(() => undefined)
      return divisors
    }
    expect(await divisorOf('apply')).toEqual([8])
    expect(await divisorOf('ignore')).toEqual([4])
  })

  test('that refuses a JPEG leaves it to jpeg-js only by default', async () => {
    const file = fileOf('jpeg 444')
    const by = (decoder: 'turbo' | 'sharp') =>
      decode(file, 'x', { platform: refusing([]), decoding: { ...decoding, decoder } })
    expect(await by('turbo')).toEqual(await decode(file))
    await expect(by('sharp')).rejects.toThrow('a damaged JPEG (not for me)')
  })

  test('reads more than 100 megapixels, which jpeg-js is not left with', async () => {
    const file = fileOf('jpeg 444')
    new DataView(file.buffer).setUint32(frameOf(file) + 5, (10_000 << 16) | 12_000)
    const large = Uint8Array.from([...file.subarray(0, -2), ...new Uint8Array(800_000).fill(1), ...file.subarray(-2)])
    const divisors: number[] = []
    await expect(
      decode(large, 'x', { platform: refusing(divisors), decoding, availableBytes: () => 1e9 }),
    ).rejects.toThrow('an image of 12000 × 10000 is too large')
    expect(divisors).toEqual([1])
  })
})

describe('what cannot be read is refused', () => {
  test('by content, not by name', async () => {
    expect(imageKind(fileOf('png rgb'))).toBe('PNG')
    expect(imageKind(fileOf('jpeg 444'))).toBe('JPEG')
    expect(imageKind(new Uint8Array([0xff, 0xd8]))).toBeUndefined()
    expect((await decode(fileOf('png rgb'), 'called.jpg')).width).toBe(29)
  })

  test('text and nothing', async () => {
    expect(await refusal(new TextEncoder().encode('hello there'))).toMatchInlineSnapshot(`
      "train/x.JPEG: not an image (starts 68 65 6c 6c 6f 20 74 68, the text "hello there")
        expected a JPEG or PNG"
    `)
    expect(await refusal(new Uint8Array())).toMatchInlineSnapshot(`
      "train/x.JPEG: the file is empty
        expected a JPEG or PNG"
    `)
    expect(await refusal(new TextEncoder().encode('BMX riders'))).toContain('not an image (starts 42 4d 58 20')
    const form = new TextEncoder().encode('------WebKitFormBoundary7MA4YWxk\r\nContent-Disposition: form-data')
    expect(await refusal(form)).toContain('the text "------WebKitFormBoundary7MA4YWxk")')
    expect(await refusal(Uint8Array.of(0x68, 0x69, 0))).toContain('not an image (starts 68 69 00)')
  })

  test('a TIFF of floats or signed integers, which came out black where they are from 0 to 1', async () => {
    for (const [format, depth] of [
      [3, 'float'],
      [2, 'int'],
    ] as const) {
      await expect(decodeImage('scan.tif', tiffOf32Bits(format), pngReader, bySharp)).rejects.toThrow(
        `scan.tif: a TIFF whose samples (${depth}) do not say which are black and which white\n  expected unsigned integers`,
      )
    }
  })

  test('other formats, where sharp is not installed', () => {
    const absent = { package: 'sharp', kinds: new Set(['WebP'] as const) }
    const webp = fileOf('WebP')
    expect(() => checkKind('photo.webp', webp, { kinds: new Set(), absent })).toThrow(
      'photo.webp: a WebP image needs the package sharp: npm install sharp',
    )
    expect(checkKind('photo.webp', webp, bySharp.platform)).toBe('WebP')
  })

  test('12 bits for each colour', async () => {
    const twelveBits = fileOf('jpeg 444')
    twelveBits[frameOf(twelveBits) + 4] = 12
    expect(await refusal(twelveBits)).toContain('a JPEG of 12 bits for each colour that is not read here')
  })

  test('other formats, by name', async () => {
    expect(await refusal(fileOf('GIF'))).toMatchInlineSnapshot(`
      "train/x.JPEG: a GIF image, a format that is not read here
        Fix: convert it to JPEG or PNG."
    `)
    for (const kind of ['WebP', 'TIFF']) expect(await refusal(fileOf(kind))).toContain(`a ${kind} image`)
    expect(imageKind(new TextEncoder().encode('\0\0\0 ftypavif'))).toBe('AVIF')
    expect(await refusal(fileOf('jpeg arithmetic'))).toMatchInlineSnapshot(`
      "train/x.JPEG: a JPEG of a rare kind that is not read here
        frame  FF C9, 8 bits
        expected baseline or progressive, Huffman coded, 8 bits
        Fix: store it again as an ordinary JPEG or PNG."
    `)
    const twelveBits = fileOf('jpeg 444')
    twelveBits[frameOf(twelveBits) + 4] = 12
    expect(await refusal(twelveBits)).toContain('FF C0, 12 bits')
  })

  test('a file cut anywhere, even by its last byte', async () => {
    for (const name of ['jpeg 420', 'jpeg progressive 420', 'jpeg grey restart', 'png rgb', 'png interlaced']) {
      const file = fileOf(name)
      for (let length = 0; length < file.length; length++) {
        const error: unknown = await decode(file.subarray(0, length)).then(
          () => undefined,
          (thrown: unknown) => thrown,
        )
        expect(error, `${name}, ${length} of ${file.length} bytes`).toBeInstanceOf(DataError)
      }
    }
    const half = fileOf('jpeg 420')
    expect(await refusal(half.subarray(0, half.length >> 1))).toMatchInlineSnapshot(`
      "train/x.JPEG: a JPEG that is cut short or damaged (it does not end with FF D9)
        Fix: get the file again, or remove it."
    `)
    expect(await refusal(fileOf('png rgb').subarray(0, 200))).toMatchInlineSnapshot(`
      "train/x.JPEG: a PNG that is cut short or damaged (it does not end with an IEND chunk)
        Fix: get the file again, or remove it."
    `)
  })

  test('a piece missing in the middle of the data', async () => {
    const file = fileOf('jpeg 420')
    const gap = new Uint8Array([...file.subarray(0, file.length - 60), ...file.subarray(file.length - 2)])
    expect(await refusal(gap)).toContain('a damaged JPEG (unexpected marker: ffd9)')
  })

  test('images beyond 100 megapixels, before any memory is taken', async () => {
    const jpeg = fileOf('jpeg 444')
    new DataView(jpeg.buffer).setUint32(frameOf(jpeg) + 5, (20000 << 16) | 30000)
    expect(await refusal(jpeg)).toMatchInlineSnapshot(`
      "train/x.JPEG: an image of 30000 × 20000 is too large
        size  600 megapixels
        expected at most 100 megapixels
        Fix: store a smaller copy."
    `)
    const png = fileOf('png rgb')
    new DataView(png.buffer).setUint32(16, 5_000_000)
    expect(await refusal(png)).toContain('an image of 5000000 × 23 is too large')
    new DataView(png.buffer).setUint32(16, 0)
    expect(await refusal(png)).toContain('without pixels (0 × 23)')
  })

  test('a PNG of more than a million rows, each of which takes memory of its own', async () => {
    const file = pngFile({ width: 1, height: 1_000_001, depth: 8, colourType: 0, rows: new Uint8Array(2_000_002) })
    expect(await refusal(file)).toBe(
      'train/x.JPEG: an image of 1 × 1000001 is too long\n  expected at most 1000000 pixels on a side',
    )
  })

  test('a PNG with two headers or palettes: decoders differ in which one counts', async () => {
    const file = fileOf('png rgb')
    const header = file.subarray(8, 33)
    expect(await refusal(Uint8Array.from([...file.subarray(0, 33), ...header, ...file.subarray(33)]))).toContain(
      'it has two IHDR chunks',
    )
    const coloured = pngFile({
      width: 1,
      height: 1,
      depth: 8,
      colourType: 3,
      palette: Uint8Array.of(1, 2, 3),
      rows: new Uint8Array(2),
    })
    const palette = coloured.subarray(33, 48)
    expect(
      await refusal(Uint8Array.from([...coloured.subarray(0, 48), ...palette, ...coloured.subarray(48)])),
    ).toContain('it has two PLTE chunks')
  })
})

describe('a PNG with fewer rows than its header says is refused: nothing is made up', () => {
  const kinds = [
    { name: 'grey', depth: 8, colourType: 0, rowBytes: 41 },
    { name: 'grey, 1 bit', depth: 1, colourType: 0, rowBytes: 6 },
    { name: 'RGB', depth: 8, colourType: 2, rowBytes: 121 },
    { name: 'RGB, 16 bits', depth: 16, colourType: 2, rowBytes: 241 },
    { name: 'palette', depth: 8, colourType: 3, rowBytes: 41, palette: new Uint8Array(768) },
    { name: 'RGB with alpha', depth: 8, colourType: 6, rowBytes: 161 },
  ]
  test.each(kinds)('$name', async ({ rowBytes, ...kind }) => {
    for (const there of [0, 1, 20, 39]) {
      const file = pngFile({ ...kind, width: 40, height: 40, rows: new Uint8Array(there * rowBytes) })
      expect(await refusal(file), `${there} of 40 rows`).toContain('rows are missing: ')
    }
    const whole = await decode(pngFile({ ...kind, width: 40, height: 40, rows: new Uint8Array(40 * rowBytes) }))
    expect(whole.data.length).toBe(40 * 40 * 4)
  })

  test('interlaced: also its last pass', async () => {
    const parts = { width: 8, height: 8, depth: 8, colourType: 0, interlaced: true } as const
    // Rows of the seven passes, a byte for the filter each: 2 + 2 + 3 + 2·3 + 2·5 + 4·5 + 4·9.
    const bytes = 79
    expect((await decode(pngFile({ ...parts, rows: new Uint8Array(bytes) }))).data.length).toBe(256)
    for (const there of [0, 2, 43, bytes - 9, bytes - 1]) {
      expect(await refusal(pngFile({ ...parts, rows: new Uint8Array(there) }))).toContain('rows are missing')
    }
  })

  test('bytes behind the last row are ignored, but not any number of them', async () => {
    const parts = { width: 4, height: 4, depth: 8, colourType: 0 } as const
    const few = await decode(pngFile({ ...parts, rows: new Uint8Array(100).fill(0, 0, 20) }))
    expect(few.data.length).toBe(64)
    const kinds = [
      { interlaced: false, bytes: 300 * 901 },
      { interlaced: true, bytes: 79, width: 8, height: 8, colourType: 0 },
    ] as const
    for (const { bytes, ...kind } of kinds) {
      const rows = Uint8Array.from({ length: bytes + 1000 }, (_, i) =>
        kind.interlaced || i % 901 === 0 ? i % 2 : (i * i) % 251,
      )
      const large = { width: 300, height: 300, depth: 8, colourType: 2, ...kind }
      const exact = await decode(pngFile({ ...large, rows: rows.subarray(0, bytes) }))
      expect(await decode(pngFile({ ...large, rows }))).toEqual(exact)
    }
    expect(await refusal(pngFile({ ...parts, rows: new Uint8Array(2 ** 20) }))).toContain('a damaged PNG')
  })
})

describe('a size that the bytes cannot hold is refused before memory is taken for it', () => {
  test('PNG', async () => {
    const file = pngFile({ width: 10_000, height: 10_000, depth: 8, colourType: 2, rows: new Uint8Array(1000) })
    const before = process.memoryUsage().arrayBuffers
    expect(await refusal(file)).toContain('rows are missing')
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10_000_000)
  })

  const patched = (change: (view: DataView, frame: number) => void): Uint8Array => {
    const file = fileOf('jpeg 444')
    change(new DataView(file.buffer), frameOf(file))
    return file
  }

  test('JPEG', async () => {
    const file = patched((view, frame) => view.setUint32(frame + 5, (10_000 << 16) | 10_000))
    expect(await refusal(file)).toContain(
      `a damaged JPEG (it has ${file.length} bytes, too few for 10000 × 10000 pixels)`,
    )
  })

  test('JPEG with odd components', async () => {
    expect(await refusal(patched((view, frame) => view.setUint8(frame + 11, 0xf1)))).toContain(
      'a sampling factor is not 1 to 4',
    )
    expect(await refusal(patched((view, frame) => view.setUint8(frame + 13, view.getUint8(frame + 10))))).toContain(
      'two components have one name',
    )
    expect(await refusal(patched((view, frame) => view.setUint8(frame + 9, 2)))).toContain('it has 2 colour components')
  })

  test('JPEG with a second frame, and with scans without end', async () => {
    const file = fileOf('jpeg progressive 420')
    const frame = file.findIndex((byte, i) => byte === 0xff && file[i + 1] === 0xc2)
    const second = new Uint8Array(file.subarray(frame, frame + 19))
    new DataView(second.buffer).setUint32(5, (9_000 << 16) | 9_000)
    const two = Uint8Array.from([...file.subarray(0, -2), ...second, 0xff, 0xd9])
    expect(await refusal(two)).toContain('limit exceeded')
    const scan = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0]
    const scans = Uint8Array.from([
      ...file.subarray(0, -2),
      ...Array.from({ length: 200 }, () => scan).flat(),
      0xff,
      0xd9,
    ])
    expect(await refusal(scans)).toMatch(/it has 2\d\d scans/)
  })
})

test('a large image is decoded only where there is memory for it; the reason may pass', async () => {
  const asked: string[] = []
  const free = (bytes: number) => () => {
    asked.push(String(bytes))
    return bytes
  }
  const file = pngFile({ width: 5000, height: 5000, depth: 8, colourType: 0, rows: new Uint8Array(5000 * 5001) })
  const error: unknown = await decodeImage('a.png', file, pngReader, { availableBytes: free(1e8) }).catch(
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(DataError)
  expect(error).not.toBeInstanceOf(DecodeError)
  expect(String(error)).toBe(`DataError: a.png: there is no memory to decode an image of 5000 × 5000
  needed  334 MiB
  free    95.4 MiB
  Fix: store a smaller copy, or decode on fewer threads.`)
  expect((await decodeImage('a.png', file, pngReader, { availableBytes: free(1e9) })).width).toBe(5000)
  expect((await decodeImage('a.jpg', fileOf('jpeg 444'), pngReader, { availableBytes: free(0) })).width).toBe(29)
  expect(asked).toEqual(['100000000', '1000000000'])
})

/** Exif metadata of one directory, whose one entry is an orientation. */
function orientationOf(orientation: number): readonly number[] {
  return [...Buffer.from('MM\0*'), 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0]
}

/** A JPEG with Exif metadata in front of its other segments. */
function withExif(file: Uint8Array, ...all: readonly (readonly number[])[]): Uint8Array {
  const segments = all.map((exif) => [0xff, 0xe1, 0, 8 + exif.length, ...Buffer.from('Exif\0\0'), ...exif])
  return Uint8Array.from([...file.subarray(0, 2), ...segments.flat(), ...file.subarray(2)])
}

/** Where the FF C0 segment of a baseline file begins. */
function frameOf(file: Uint8Array): number {
  const at = file.findIndex((byte, i) => byte === 0xff && file[i + 1] === 0xc0)
  if (at < 0) throw new Error('no baseline frame')
  return at
}

test('a picture survives being written as PNG', async () => {
  const data = Uint8Array.from({ length: 5 * 3 * 4 }, (_, i) => (i * 37) % 256)
  const back = decodePng(await encodePng({ width: 5, height: 3, data }))
  expect(back).toEqual({ width: 5, height: 3, data })
})
