/** File bytes to RGB pixels. No file access and no threads: the decoding threads and the calling one run this alike. */
import { decode as decodeJpegBytes } from 'jpeg-js'
import { DataError } from '../base/errors.ts'
import type { Pixels, ResizePlan } from '../platform/platform.ts'
import { resizePixels } from './resize.ts'

/** PNG bytes to 8-bit RGBA: each platform brings its own. It gets them without a declared transparent colour. */
export type PngDecoder = (bytes: Uint8Array) => Pixels | Promise<Pixels>

/** More than an ordinary photograph has; at this size a decode takes 3.3 GB of memory while it works. */
const MAX_MEGAPIXELS = 100

/**
 * Decodes a JPEG or PNG, told apart by their first bytes, to RGB: grey and CMYK are converted, an alpha channel is
 * dropped, colours stay those of the file, and an orientation in its metadata is not applied. So does fastai's
 * `PILImage.create`, whose decoder (libjpeg) differs by a few levels, most where colours were stored at half size.
 *
 * @param path    named in errors
 * @param resize  fastai's Resize, see data/resize.ts; absent: the whole image
 * @returns       8-bit RGBA, alpha 255
 * @throws DataError  when the bytes are no JPEG or PNG, are cut short or damaged, or hold more than 100 megapixels
 */
export async function decodeImage(
  path: string,
  bytes: Uint8Array,
  decodePng: PngDecoder,
  resize?: ResizePlan,
): Promise<Pixels> {
  const kind = imageKind(bytes)
  if (kind !== 'JPEG' && kind !== 'PNG') throw notAnImage(path, bytes, kind)
  const pixels = kind === 'JPEG' ? decodeJpeg(path, bytes) : await decodePngFile(path, bytes, decodePng)
  return resize === undefined ? pixels : resizePixels(pixels, resize)
}

function notAnImage(path: string, bytes: Uint8Array, kind: string | undefined): DataError {
  if (bytes.length === 0) return new DataError(path, 'the file is empty', { expected: 'a JPEG or PNG' })
  if (kind !== undefined) {
    return new DataError(path, `a ${kind} image, a format that is not read here`, { fix: 'convert it to JPEG or PNG.' })
  }
  const start = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join(' ')
  return new DataError(path, `not an image (starts ${start})`, { expected: 'a JPEG or PNG' })
}

/** First bytes by which a format is known; `.` stands for any byte. */
const SIGNATURES: readonly (readonly [kind: string, start: string])[] = [
  ['JPEG', '\xff\xd8\xff'],
  ['PNG', '\x89PNG\r\n\x1a\n'],
  ['GIF', 'GIF8'],
  ['WebP', 'RIFF....WEBP'],
  ['TIFF', 'II*\0'],
  ['TIFF', 'MM\0*'],
  ['AVIF', '....ftypavi'],
  ['HEIC', '....ftyphei'],
  ['HEIF', '....ftypmif1'],
  // Two letters say little; the four reserved bytes behind the file size are zero.
  ['BMP', 'BM....\0\0\0\0'],
]

/** The image format that the bytes start like, whatever the file is called. */
export function imageKind(bytes: Uint8Array): string | undefined {
  const matches = (start: string): boolean =>
    bytes.length >= start.length && Array.from(start).every((c, i) => c === '.' || bytes[i] === c.charCodeAt(0))
  return SIGNATURES.find(([, start]) => matches(start))?.[0]
}

function checkSize(path: string, width: number, height: number): void {
  if (width * height === 0) throw new DataError(path, `an image without pixels (${width} × ${height})`)
  const megapixels = (width * height) / 1e6
  if (megapixels > MAX_MEGAPIXELS) {
    throw new DataError(path, `an image of ${width} × ${height} is too large`, {
      given: { size: `${Math.ceil(megapixels)} megapixels` },
      expected: `at most ${MAX_MEGAPIXELS} megapixels`,
      fix: 'store a smaller copy.',
    })
  }
}

async function decodePngFile(path: string, bytes: Uint8Array, decodePng: PngDecoder): Promise<Pixels> {
  // The size stands at fixed places in the first chunk. Source: PNG specification, IHDR.
  if (bytes.length < 24) throw damaged(path, 'PNG', bytes, new Error('it ends within its header'))
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  checkSize(path, header.getUint32(16), header.getUint32(20))
  let pixels: Pixels
  try {
    pixels = await decodePng(withoutTransparency(bytes))
  } catch (error) {
    throw damaged(path, 'PNG', bytes, error)
  }
  for (let i = 3; i < pixels.data.length; i += 4) pixels.data[i] = 255
  return pixels
}

/**
 * A PNG without its tRNS chunk and without anything after its last chunk. Decoders paint the pixels of a colour
 * declared transparent black, where dropping the alpha channel has to leave them as they are, and pngjs refuses bytes
 * behind the end, which other readers ignore.
 */
function withoutTransparency(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const kept = new Uint8Array(bytes.length)
  kept.set(bytes.subarray(0, 8))
  let length = 8
  // A chunk is its length, its type, so many bytes and a checksum. Source: PNG specification, chunk layout.
  for (let at = 8; at + 12 <= bytes.length;) {
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8))
    const chunk = bytes.subarray(at, at + 12 + view.getUint32(at))
    at += chunk.length
    if (type === 'tRNS') continue
    kept.set(chunk, length)
    length += chunk.length
    if (type === 'IEND') break
  }
  return kept.subarray(0, length)
}

function decodeJpeg(path: string, bytes: Uint8Array): Pixels {
  const frame = readFrame(bytes)
  if (frame === undefined) throw damaged(path, 'JPEG', bytes, new Error('it has no frame header'))
  checkSize(path, frame.width, frame.height)
  if (!DCT_FRAMES.has(frame.marker) || frame.precision !== 8) {
    throw new DataError(path, 'a JPEG of a rare kind that is not read here', {
      given: { frame: `FF ${frame.marker.toString(16).toUpperCase()}, ${frame.precision} bits` },
      expected: 'baseline or progressive, Huffman coded, 8 bits',
      fix: 'store it again as an ordinary JPEG or PNG.',
    })
  }
  try {
    const { width, height, data } = decodeJpegBytes(bytes, {
      useTArray: true,
      // Lets grey files with restart markers through, which the strict setting rejects with a type error. All that is
      // tolerated is a restart interval that runs beyond the last block; a file cut short is refused all the same.
      tolerantDecoding: true,
      // Otherwise taken for YCbCr, which is what three components are unless the file says so.
      ...(isRgb(frame) ? { colorTransform: false } : {}),
      // The size is checked above, with a message that says so.
      maxResolutionInMP: Infinity,
      maxMemoryUsageInMB: Infinity,
    })
    return { width, height, data }
  } catch (error) {
    throw damaged(path, 'JPEG', bytes, error)
  }
}

/** How a complete file ends. Sources: ITU-T T.81, EOI; PNG specification, the type and checksum of IEND. */
const ENDS = { JPEG: [0xff, 0xd9], PNG: [0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82] } as const
const END_NAMES = { JPEG: 'FF D9', PNG: 'an IEND chunk' } as const

function damaged(path: string, kind: 'JPEG' | 'PNG', bytes: Uint8Array, cause: unknown): DataError {
  const end = ENDS[kind]
  const complete = end.every((byte, i) => bytes[bytes.length - end.length + i] === byte)
  // A type error is a decoder stumbling over nonsense: its text says nothing about the file.
  const reason = cause instanceof Error && !(cause instanceof TypeError) ? ` (${cause.message})` : ''
  const what = complete
    ? `a damaged ${kind}${reason}`
    : `a ${kind} that is cut short or damaged (it does not end with ${END_NAMES[kind]})`
  return new DataError(path, what, { fix: 'get the file again, or remove it.', cause })
}

/** Start-of-frame markers of baseline, extended and progressive Huffman coding. Source: ITU-T T.81, table B.1. */
const DCT_FRAMES: ReadonlySet<number> = new Set([0xc0, 0xc1, 0xc2])
/** In the range of the start-of-frame markers, but tables (DHT), reserved (JPG) and arithmetic conditioning (DAC). */
const NOT_FRAMES: ReadonlySet<number> = new Set([0xc4, 0xc8, 0xcc])
const START_OF_SCAN = 0xda

interface JpegFrame {
  readonly marker: number
  readonly precision: number
  readonly width: number
  readonly height: number
  readonly components: readonly number[]
  readonly jfif: boolean
  /** 0: no colour transform, 1: YCbCr, 2: YCCK; absent without an Adobe segment. */
  readonly adobeTransform: number | undefined
}

/** What the segments before the first scan say, or nothing where they do not hold together. */
function readFrame(bytes: Uint8Array): JpegFrame | undefined {
  let jfif = false
  let adobeTransform: number | undefined
  let frame: Omit<JpegFrame, 'jfif' | 'adobeTransform'> | undefined
  const sixteen = (at: number): number => (bytes[at] << 8) | bytes[at + 1]
  const starts = (at: number, text: string): boolean =>
    Array.from(text).every((c, i) => bytes[at + i] === c.charCodeAt(0))

  for (let at = 2; at + 4 <= bytes.length;) {
    const marker = bytes[at + 1]
    // Any number of FF may fill the space before a marker.
    if (bytes[at] !== 0xff || marker === 0xff) {
      at++
      continue
    }
    if (marker === START_OF_SCAN) break
    const body = at + 4
    if (marker === 0xe0 && starts(body, 'JFIF\0')) jfif = true
    if (marker === 0xee && starts(body, 'Adobe')) adobeTransform = bytes[body + 11]
    if (marker >= 0xc0 && marker <= 0xcf && !NOT_FRAMES.has(marker) && body + 6 <= bytes.length) {
      const components = Array.from({ length: bytes[body + 5] }, (_, i) => bytes[body + 6 + i * 3])
      frame = { marker, precision: bytes[body], height: sixteen(body + 1), width: sixteen(body + 3), components }
    }
    at += 2 + sixteen(at + 2)
  }
  return frame === undefined ? undefined : { ...frame, jfif, adobeTransform }
}

/** Whether three components are plain RGB. Source: libjpeg jdapimin.c, default_decompress_parms. */
function isRgb({ components, jfif, adobeTransform }: JpegFrame): boolean {
  if (components.length !== 3 || jfif) return false
  return adobeTransform === undefined ? String.fromCharCode(...components) === 'RGB' : adobeTransform === 0
}
