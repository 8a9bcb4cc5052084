/** Public reports about image files that some program could not read, each tried with a file made for it. */
import { readFileSync } from 'node:fs'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { DecodeError } from '../../src/base/errors.ts'
import { decodeImage, type DecodeImageOptions } from '../../src/image/decode.ts'
import type { Pixels } from '../../src/image/pixels.ts'
import { pngReader } from '../../src/platform/node/png.ts'
import { sharpDecoder } from '../../src/platform/node/sharp.ts'
import { pngFile } from '../helpers/png-file.ts'

const WIDTH = 40
const HEIGHT = 24
const platform = await sharpDecoder()
const raw = { width: WIDTH, height: HEIGHT, channels: 3 } as const
const ramp = Buffer.from(
  Array.from({ length: WIDTH * HEIGHT * 3 }, (_, i) => 40 + ((i % 3) * 50 + Math.floor(i / 3 / WIDTH) * 3)),
)
const jpegFile = (options: Parameters<ReturnType<typeof sharp>['jpeg']>[0] = {}) =>
  sharp(ramp, { raw })
    .jpeg({ quality: 95, chromaSubsampling: '4:4:4', ...options })
    .toBuffer()
const decode = (bytes: Uint8Array, options: DecodeImageOptions = {}): Promise<Pixels> =>
  decodeImage('x', Uint8Array.from(bytes), pngReader, { platform, ...options })
const bytes = (...parts: readonly (Uint8Array | readonly number[] | string)[]) =>
  Uint8Array.from(
    Buffer.concat(
      parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Uint8Array.from(part))),
    ),
  )
/** A JPEG's file behind its first two bytes, with something put there. */
const withStart = (file: Uint8Array, ...parts: readonly (Uint8Array | readonly number[] | string)[]) =>
  bytes(file.subarray(0, 2), ...parts, file.subarray(2))
const segment = (marker: number, body: Uint8Array) =>
  bytes([0xff, marker, (body.length + 2) >> 8, (body.length + 2) & 255], body)
const golden = JSON.parse(readFileSync(new URL('../golden/decode.json', import.meta.url), 'utf8')) as {
  readonly cases: readonly { readonly name: string; readonly file: string }[]
}
const goldenFile = (name: string): Uint8Array => {
  const found = golden.cases.find((one) => one.name === name)
  if (found === undefined) throw new Error(`decode.json has no '${name}'`)
  return Uint8Array.from(Buffer.from(found.file, 'base64'))
}

async function refusal(file: Uint8Array): Promise<string> {
  const error: unknown = await decode(file).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(DecodeError)
  return String(error)
}

describe('reports about JPEG', () => {
  test('fastai/fastai#3565: photographs of telephones come out sideways', async () => {
    const exif = bytes('Exif\0\0MM\0*', [0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0])
    const { width, height, data } = await decode(withStart(await jpegFile(), segment(0xe1, exif)))
    expect([width, height]).toEqual([HEIGHT, WIDTH])
    // The top of the stored image, its darkest row, is on the right.
    expect(data[(HEIGHT - 1) * 4]).toBeLessThan(data[0])
  })

  test('jpeg-js/jpeg-js#81: "unknown JPEG marker 0", zero bytes between segments', async () => {
    const file = await jpegFile({ progressive: true })
    const scan = file.lastIndexOf(Buffer.of(0xff, 0xda))
    const zeros = bytes(file.subarray(0, scan), [0, 0, 0, 0], file.subarray(scan))
    expect(await decode(zeros)).toEqual(await decode(file))
  })

  test('jpeg-js/jpeg-js#82: the marker of a metadata segment is 00 E1', async () => {
    const file = await jpegFile()
    const broken = segment(0xe1, new Uint8Array(50).fill(65))
    broken[0] = 0
    expect(await decode(withStart(file, segment(0xe0, new Uint8Array(20)), broken))).toEqual(await decode(file))
  })

  test('jpeg-js/jpeg-js#67: "unknown JPEG marker c800", bytes behind a segment that states too small a length', async () => {
    const file = await jpegFile()
    const profile = segment(0xe2, bytes('ICC_PROFILE\0', new Uint8Array(100).fill(0xc8)))
    profile[3] -= 3
    expect(await decode(withStart(file, profile))).toEqual(await decode(file))
  })

  test('jpeg-js/jpeg-js#116: "marker was not found", a restart marker is lost', async () => {
    for (const kind of ['444', '420', 'grey']) {
      const lost = await decode(goldenFile(`jpeg ${kind} a restart lost`))
      expect(lost, kind).toEqual(await decode(goldenFile(`jpeg ${kind} stray before restart`)))
    }
  })

  test('jpeg-js/jpeg-js#21: restart markers make an "unknown JPEG marker"', async () => {
    const file = goldenFile('jpeg 420 restart')
    // A restart marker more than there are intervals, which encoders write behind the last.
    const more = bytes(file.subarray(0, -2), [0xff, 0xd3], file.subarray(-2))
    expect(await decode(more)).toEqual(await decode(file))
  })

  test('notmasteryet/jpgjs#28: "unexpected marker: ffd9", data missing before the end', async () => {
    const file = await jpegFile()
    expect(await refusal(bytes(file.subarray(0, -40), file.subarray(-2)))).toContain('a damaged JPEG')
  })

  test('python-pillow/Pillow#1138: a second picture behind the first (MPO)', async () => {
    const file = await jpegFile()
    const second = await sharp(ramp, { raw }).negate().jpeg().toBuffer()
    const both = bytes(withStart(file, segment(0xe2, bytes('MPF\0MM\0*'))), second)
    expect(await decode(both)).toEqual(await decode(file))
  })

  test('fastai/fastai#2249: a file cut short ends the training', async () => {
    const file = await jpegFile()
    expect(await refusal(file.subarray(0, file.length >> 1))).toContain('a JPEG that is cut short or damaged')
  })

  test('scijs/get-pixels#57: a large JPEG takes more than 512 MB, except at the size that is needed', async () => {
    // 26 megapixels of one colour.
    const data = Buffer.alloc(6200 * 4200 * 3, 90)
    const file = await sharp(data, { raw: { width: 6200, height: 4200, channels: 3 } })
      .jpeg()
      .toBuffer()
    const resize = { method: 'crop', width: 64, height: 64, position: [0.5, 0.5] } as const
    const decoding = { orientation: 'apply', decoder: 'sharp', shrink: 'fast' } as const
    const pixels = await decode(file, { resize, decoding })
    expect([pixels.width, pixels.height, pixels.data[0]]).toEqual([64, 64, 90])
  })

  test('metadata larger than the image, over many segments', async () => {
    const file = await jpegFile()
    const large = segment(0xe1, bytes('http://ns.adobe.com/xmp/extension/\0', new Uint8Array(65_000).fill(0xff)))
    expect(await decode(withStart(file, ...new Array<Uint8Array>(20).fill(large)))).toEqual(await decode(file))
    // jpeg-js passes a comment to a function as its arguments, of which there may be too many.
    const comment = segment(0xfe, new Uint8Array(65_000).fill(0x20))
    expect(await decode(withStart(file, ...new Array<Uint8Array>(20).fill(comment)))).toEqual(await decode(file))
  })
})

describe('reports about PNG', () => {
  const stored = (depth: number, colourType: number, samples: readonly number[], more = {}) =>
    pngFile({ width: 2, height: 1, depth, colourType, rows: Uint8Array.of(0, ...samples), ...more })

  test('OlafenwaMoses/ImageAI#200: a palette with transparency', async () => {
    const palette = Uint8Array.of(10, 20, 30, 200, 150, 100)
    const plain = stored(8, 3, [0, 1], { palette })
    expect([...(await decode(plain)).data]).toEqual([10, 20, 30, 255, 200, 150, 100, 255])
    const image = sharp(Buffer.of(10, 20, 30, 0, 200, 150, 100, 128), { raw: { width: 2, height: 1, channels: 4 } })
    const transparent = await image.png({ palette: true }).toBuffer()
    const { data } = await decode(transparent)
    expect([data[3], data[7]]).toEqual([255, 255])
  })

  test('pngjs/pngjs#87: 16 bits for each colour', async () => {
    const grey = await decode(stored(16, 0, [0x12, 0xff, 0xfe, 0x01]))
    expect([...grey.data]).toEqual([0x12, 0x12, 0x12, 255, 0xfe, 0xfe, 0xfe, 255])
  })

  test('foliojs/pdfkit#892: 16 bits with an alpha channel', async () => {
    const { data } = await decode(stored(16, 6, [1, 9, 2, 9, 3, 9, 4, 9, 250, 9, 251, 9, 252, 9, 0, 0]))
    expect([...data]).toEqual([1, 2, 3, 255, 250, 251, 252, 255])
    const grey = await decode(stored(16, 4, [7, 9, 0, 0, 8, 9, 255, 255]))
    expect([...grey.data]).toEqual([7, 7, 7, 255, 8, 8, 8, 255])
  })

  test('photopea/UPNG.js#44: an interlaced image of 1 bit (basi0g01)', async () => {
    // Seven passes of an 8 × 8 image, each row a byte for its filter and one of pixels: white in the first pass only.
    const rows = [1, 1, 1, 2, 2, 4, 4].flatMap((count, pass) =>
      Array.from({ length: count }, () => [0, pass === 0 ? 0x80 : 0]).flat(),
    )
    const file = pngFile({
      width: 8,
      height: 8,
      depth: 1,
      colourType: 0,
      interlaced: true,
      rows: Uint8Array.from(rows),
    })
    const { data } = await decode(file)
    expect(Array.from({ length: 64 }, (_, i) => data[i * 4])).toEqual([255, ...new Array<number>(63).fill(0)])
  })

  test('pngjs/pngjs#78: image data without an end of its own', async () => {
    const file = pngFile({ width: 2, height: 1, depth: 8, colourType: 0, rows: Uint8Array.of(0, 5, 250) })
    expect((await decode(file)).data[4]).toBe(250)
    expect(await refusal(file.subarray(0, -12))).toContain('a PNG that is cut short or damaged')
  })
})
