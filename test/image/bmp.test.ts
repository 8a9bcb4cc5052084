import { describe, expect, test } from 'vitest'
import { DecodeError } from '../../src/base/errors.ts'
import { decodeImage } from '../../src/image/decode.ts'
import { checkKind } from '../../src/image/image-kind.ts'
import { DEFAULT_DECODING } from '../../src/image/decode-options.ts'
import { pngReader } from '../../src/platform/node/png.ts'
import { golden } from '../helpers/golden.ts'

interface Golden {
  readonly width: number
  readonly height: number
  readonly cases: readonly { readonly name: string; readonly file: string; readonly rgb: string }[]
}
const { width, height, cases } = golden<Golden>('bmp')
const fileOf = (name: string) => new Uint8Array(Buffer.from(cases.find((one) => one.name === name)!.file, 'base64'))
const decode = (bytes: Uint8Array, options = {}) => decodeImage('x.bmp', bytes, pngReader, options)

test.each(cases)('$name: the pixels of Pillow', async ({ file, rgb }) => {
  const pixels = await decode(new Uint8Array(Buffer.from(file, 'base64')))
  expect([pixels.width, pixels.height]).toEqual([width, height])
  const expected = Buffer.from(rgb, 'base64')
  const actual = Array.from({ length: expected.length }, (_, i) => pixels.data[4 * Math.floor(i / 3) + (i % 3)])
  expect(actual).toEqual([...expected])
  expect(pixels.data.every((value, i) => i % 4 !== 3 || value === 255)).toBe(true)
})

test('run-length codes may go on some columns to the right and some rows up', async () => {
  const file = fileOf('runs of 8 bits')
  const dataAt = new DataView(file.buffer).getUint32(10, true)
  const [index, x, row] = [1, 3, 2]
  const codes = [0, 2, x, row, 1, index, 0, 1]
  const { data } = await decode(Uint8Array.from([...file.subarray(0, dataAt), ...codes]))
  // The palette, behind headers of 54 bytes: blue, green, red and a byte that means nothing.
  const colorOf = (entry: number) => [...file.subarray(54 + 4 * entry, 57 + 4 * entry)].reverse()
  expect(colorOf(index)).not.toEqual(colorOf(0))
  for (let at = 0; at < width * height; at++) {
    const isThere = at === (height - 1 - row) * width + x
    expect([...data.subarray(4 * at, 4 * at + 3)], String(at)).toEqual(colorOf(isThere ? index : 0))
  }
})

test('is read whichever decoder is asked for, and resized', async () => {
  const resize = { width: 4, height: 4, method: 'crop', position: [0.5, 0.5] } as const
  const plain = await decode(fileOf('24 bits'), { resize })
  expect([plain.width, plain.height]).toEqual([4, 4])
  const decoding = { ...DEFAULT_DECODING, decoder: 'sharp' } as const
  expect(await decode(fileOf('24 bits'), { resize, decoding })).toEqual(plain)
})

describe('a damaged bitmap is refused', () => {
  test.each(cases)('$name, cut short anywhere', async ({ file }) => {
    const bytes = new Uint8Array(Buffer.from(file, 'base64'))
    for (let length = 20; length < bytes.length - 2; length += 7) {
      await expect(decode(bytes.slice(0, length))).rejects.toThrow(DecodeError)
    }
  })

  test('with any byte of its header changed: a DecodeError, or some pixels', async () => {
    for (const { file } of cases) {
      const bytes = new Uint8Array(Buffer.from(file, 'base64'))
      for (let at = 14; at < 54; at++) {
        for (const flip of [1, 0x80, 0xff]) {
          const changed = bytes.slice()
          changed[at] ^= flip
          const result: unknown = await decode(changed).catch((error: unknown) => error)
          if (result instanceof Error) expect(result).toBeInstanceOf(DecodeError)
        }
      }
    }
  })

  test('by its size and its kind', async () => {
    const large = fileOf('24 bits')
    new DataView(large.buffer).setInt32(18, 30_000, true)
    new DataView(large.buffer).setInt32(22, 30_000, true)
    await expect(decode(large)).rejects.toThrow('x.bmp: an image of 30000 × 30000 is too large')
    const odd = fileOf('24 bits')
    odd[28] = 5
    await expect(decode(odd)).rejects.toThrow('a damaged BMP (5 bits per pixel in compression 0 are not read here)')
  })
})

test('HEIC without a decoder says what to do', () => {
  const heic = new TextEncoder().encode('\0\0\0\x18ftypheic\0\0\0\0')
  expect(() => checkKind('IMG_1.HEIC', heic)).toThrowErrorMatchingInlineSnapshot(`
    [DecodeError: IMG_1.HEIC: a HEIC image, a format that is not read here
      Fix: convert it to JPEG, for instance by heif-convert; an iPhone takes JPEG with Settings, Camera, Formats, Most Compatible.]
  `)
})
