/** File bytes to RGB pixels. No file access and no threads: the decoding threads and the calling one run this alike. */
import { decode as decodeJpegBytes } from 'jpeg-js'
import { DataError, DecodeError } from '../base/errors.ts'
import { formatBytes } from '../base/format.ts'
import type { ResizePlan } from './resize-plan.ts'
import type { Pixels } from './pixels.ts'
import { checkPng, readPngHeader, type PngReader } from './png.ts'
import { resizePixels } from './resize.ts'

/** More than an ordinary photograph has. */
const MAX_MEGAPIXELS = 100
/** As libpng, unless told otherwise (PNG_USER_HEIGHT_MAX). pngjs makes objects for every row: of a hundred million they fill the heap. */
const MAX_SIDE = 1_000_000
/** From this size on it is asked whether the machine has the memory: 100 megapixels of a JPEG take 3.3 GB. */
const LARGE_MEGAPIXELS = 20
/** Memory that jpeg-js takes for each byte that it asks for: its blocks are an array each. */
const TIMES_ASKED_FOR = 2.5

/**
 * Decodes a JPEG or PNG, told apart by their first bytes, to RGB: grey and CMYK are converted, an alpha channel is
 * dropped, colours stay those of the file, and an orientation in its metadata is not applied. So does fastai's
 * `PILImage.create`, whose decoder (libjpeg) differs by a few levels, most where colours were stored at half size.
 *
 * @param path     named in errors
 * @param png      the platform's part in reading a PNG
 * @param resize   fastai's Resize, see image/resize.ts; absent: the whole image
 * @param availableBytes  memory that is free, asked for where an image is large
 * @returns        8-bit RGBA, alpha 255
 * @throws DecodeError  when the bytes are no JPEG or PNG, are cut short or damaged, hold more than 100 megapixels or a million
 *                      pixels on a side, or are too few for the size that their header says
 * @throws DataError    when there is no memory for it now
 */
export async function decodeImage(
  path: string,
  bytes: Uint8Array,
  png: PngReader,
  resize?: ResizePlan,
  availableBytes?: () => number | undefined,
): Promise<Pixels> {
  const room: Room = (width, height, needed) => {
    const free = width * height > LARGE_MEGAPIXELS * 1e6 ? (availableBytes?.() ?? Infinity) : Infinity
    if (needed <= free) return
    throw new DataError(path, `there is no memory to decode an image of ${width} × ${height}`, {
      given: { needed: formatBytes(needed), free: formatBytes(free) },
      fix: 'store a smaller copy, or decode on fewer threads.',
    })
  }
  const pixels =
    checkKind(path, bytes) === 'JPEG' ? decodeJpeg(path, bytes, room) : await decodePng(path, bytes, png, room)
  return resize === undefined ? pixels : resizePixels(pixels, resize)
}

/** @throws DataError  when an image of that size takes more memory than there is */
type Room = (width: number, height: number, neededBytes: number) => void

/** The format of an image by its first bytes. @throws DecodeError  when it is none that is read here */
export function checkKind(path: string, bytes: Uint8Array): 'JPEG' | 'PNG' {
  const kind = imageKind(bytes)
  if (kind === 'JPEG' || kind === 'PNG') return kind
  throw notAnImage(path, bytes, kind)
}

function notAnImage(path: string, bytes: Uint8Array, kind: string | undefined): DecodeError {
  if (bytes.length === 0) return new DecodeError(path, 'the file is empty', { expected: 'a JPEG or PNG' })
  if (kind !== undefined) {
    return new DecodeError(path, `a ${kind} image, a format that is not read here`, {
      fix: 'convert it to JPEG or PNG.',
    })
  }
  const start = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join(' ')
  return new DecodeError(path, `not an image (starts ${start})`, { expected: 'a JPEG or PNG' })
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
  if (width * height === 0) throw new DecodeError(path, `an image without pixels (${width} × ${height})`)
  const megapixels = (width * height) / 1e6
  if (megapixels > MAX_MEGAPIXELS) {
    throw new DecodeError(path, `an image of ${width} × ${height} is too large`, {
      given: { size: `${Math.ceil(megapixels)} megapixels` },
      expected: `at most ${MAX_MEGAPIXELS} megapixels`,
      fix: 'store a smaller copy.',
    })
  }
  if (Math.max(width, height) > MAX_SIDE) {
    throw new DecodeError(path, `an image of ${width} × ${height} is too long`, {
      expected: `at most ${MAX_SIDE} pixels on a side`,
    })
  }
}

/** Memory that reading a PNG in Node takes, as measured, in bytes of its pixels and of its rows. */
const TIMES_PIXELS = 2
const TIMES_ROWS = 6

async function decodePng(path: string, bytes: Uint8Array, png: PngReader, room: Room): Promise<Pixels> {
  try {
    const { width, height, channels, depth } = readPngHeader(bytes)
    checkSize(path, width, height)
    room(width, height, width * height * (TIMES_PIXELS * 4 + (TIMES_ROWS * channels * depth) / 8))
    const pixels = await png.decode(await checkPng(bytes, png.inflate))
    for (let i = 3; i < pixels.data.length; i += 4) pixels.data[i] = 255
    return pixels
  } catch (error) {
    throw error instanceof DataError ? error : damaged(path, 'PNG', bytes, error)
  }
}

function decodeJpeg(path: string, bytes: Uint8Array, room: Room): Pixels {
  const { frame, scans } = readSegments(bytes)
  if (frame === undefined) throw damaged(path, 'JPEG', bytes, new Error('it has no frame header'))
  checkSize(path, frame.width, frame.height)
  if (!DCT_FRAMES.has(frame.marker) || frame.precision !== 8) {
    throw new DecodeError(path, 'a JPEG of a rare kind that is not read here', {
      given: { frame: `FF ${frame.marker.toString(16).toUpperCase()}, ${frame.precision} bits` },
      expected: 'baseline or progressive, Huffman coded, 8 bits',
      fix: 'store it again as an ordinary JPEG or PNG.',
    })
  }
  const complaint = complaintAbout(frame, scans, bytes.length)
  if (complaint !== undefined) throw damaged(path, 'JPEG', bytes, new Error(complaint))
  room(frame.width, frame.height, TIMES_ASKED_FOR * decoderBytes(frame))
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
      // Bound by the size of the frame that was checked, so that a second one takes no memory.
      maxMemoryUsageInMB: decoderBytes(frame) / 2 ** 20 + TABLES_MIB,
    })
    return { width, height, data }
  } catch (error) {
    throw damaged(path, 'JPEG', bytes, error)
  }
}

/** Scans of a progressive file at most. Encoders write about ten; each goes through all blocks of its components. */
const MOST_SCANS = 100
/** Quantization and Huffman tables, as jpeg-js counts them; a file may define them anew before every scan. */
const TABLES_MIB = 4

/** Why a file cannot be what its frame header says, or nothing. Checked before memory is taken for it. */
function complaintAbout(frame: JpegFrame, scans: number, byteCount: number): string | undefined {
  const { components } = frame
  // Source: ITU-T T.81, table B.2.
  if (components.some(({ h, v }) => h < 1 || h > 4 || v < 1 || v > 4)) return 'a sampling factor is not 1 to 4'
  if (new Set(components.map(({ id }) => id)).size < components.length) return 'two components have one name'
  if (![1, 3, 4].includes(components.length)) return `it has ${components.length} colour components`
  if (scans > MOST_SCANS) return `it has ${scans} scans`
  // The shortest Huffman code has one bit, and every block has one.
  const blocks = blockCounts(frame).reduce((sum, { coded }) => sum + coded, 0)
  if (blocks > 8 * byteCount) return `it has ${byteCount} bytes, too few for ${frame.width} × ${frame.height} pixels`
  return undefined
}

/** Blocks of 8 × 8 numbers of each component: those that are coded, and with those that fill the last units. */
function blockCounts({ width, height, components }: JpegFrame): { readonly coded: number; readonly padded: number }[] {
  const [maxH, maxV] = [Math.max(...components.map(({ h }) => h)), Math.max(...components.map(({ v }) => v))]
  return components.map(({ h, v }) => ({
    coded: Math.ceil((Math.ceil(width / 8) * h) / maxH) * Math.ceil((Math.ceil(height / 8) * v) / maxV),
    padded: Math.ceil(width / 8 / maxH) * h * Math.ceil(height / 8 / maxV) * v,
  }))
}

/** Memory that jpeg-js asks for. Source: jpeg-js lib/decoder.js, requestMemoryAllocation. */
function decoderBytes(frame: JpegFrame): number {
  const planes = blockCounts(frame).reduce((sum, { coded, padded }) => sum + padded * 256 + coded * 64, 0)
  return planes + frame.width * frame.height * (frame.components.length + 4)
}

/** How a complete file ends. Sources: ITU-T T.81, EOI; PNG specification, the type and checksum of IEND. */
const ENDS = { JPEG: [0xff, 0xd9], PNG: [0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82] } as const
const END_NAMES = { JPEG: 'FF D9', PNG: 'an IEND chunk' } as const

function damaged(path: string, kind: 'JPEG' | 'PNG', bytes: Uint8Array, cause: unknown): DecodeError {
  const end = ENDS[kind]
  const complete = end.every((byte, i) => bytes[bytes.length - end.length + i] === byte)
  // A type error is a decoder stumbling over nonsense: its text says nothing about the file.
  const reason = cause instanceof Error && !(cause instanceof TypeError) ? ` (${cause.message})` : ''
  const what = complete
    ? `a damaged ${kind}${reason}`
    : `a ${kind} that is cut short or damaged (it does not end with ${END_NAMES[kind]})`
  return new DecodeError(path, what, { fix: 'get the file again, or remove it.', cause })
}

/** Start-of-frame markers of baseline, extended and progressive Huffman coding. Source: ITU-T T.81, table B.1. */
const DCT_FRAMES: ReadonlySet<number> = new Set([0xc0, 0xc1, 0xc2])
/** In the range of the start-of-frame markers, but tables (DHT), reserved (JPG) and arithmetic conditioning (DAC). */
const NOT_FRAMES: ReadonlySet<number> = new Set([0xc4, 0xc8, 0xcc])
const START_OF_SCAN = 0xda
const END_OF_IMAGE = 0xd9

interface JpegFrame {
  readonly marker: number
  readonly precision: number
  readonly width: number
  readonly height: number
  /** Samples of a component in each direction, relative to the others. */
  readonly components: readonly { readonly id: number; readonly h: number; readonly v: number }[]
  readonly jfif: boolean
  /** 0: no colour transform, 1: YCbCr, 2: YCCK; absent without an Adobe segment. */
  readonly adobeTransform: number | undefined
}

/** Facts that a JPEG's segments state: colours from those before the first scan, frame and scans from all. */
function readSegments(bytes: Uint8Array): { readonly frame: JpegFrame | undefined; readonly scans: number } {
  let jfif = false
  let adobeTransform: number | undefined
  let frame: Omit<JpegFrame, 'jfif' | 'adobeTransform'> | undefined
  let scans = 0
  const sixteen = (at: number): number => (bytes[at] << 8) | bytes[at + 1]
  const starts = (at: number, text: string): boolean =>
    Array.from(text).every((c, i) => bytes[at + i] === c.charCodeAt(0))

  for (let at = 2; at + 4 <= bytes.length;) {
    const marker = bytes[at + 1]
    // Any number of FF may fill the space before a marker; in coded data zero follows, or a restart marker, D0 to D7.
    if (bytes[at] !== 0xff || marker === 0xff || marker === 0 || (marker >= 0xd0 && marker <= 0xd7)) {
      at++
      continue
    }
    if (marker === END_OF_IMAGE) break
    const body = at + 4
    if (marker === START_OF_SCAN) scans++
    if (scans === 0 && marker === 0xe0 && starts(body, 'JFIF\0')) jfif = true
    if (scans === 0 && marker === 0xee && starts(body, 'Adobe')) adobeTransform = bytes[body + 11]
    if (scans === 0 && marker >= 0xc0 && marker <= 0xcf && !NOT_FRAMES.has(marker) && body + 6 <= bytes.length) {
      const components = Array.from({ length: bytes[body + 5] }, (_, i) => {
        const sampling = bytes[body + 7 + i * 3]
        return { id: bytes[body + 6 + i * 3], h: sampling >> 4, v: sampling & 15 }
      })
      frame = { marker, precision: bytes[body], height: sixteen(body + 1), width: sixteen(body + 3), components }
    }
    at += 2 + sixteen(at + 2)
  }
  return { frame: frame === undefined ? undefined : { ...frame, jfif, adobeTransform }, scans }
}

/** Whether three components are plain RGB. Source: libjpeg jdapimin.c, default_decompress_parms. */
function isRgb({ components, jfif, adobeTransform }: JpegFrame): boolean {
  if (components.length !== 3 || jfif) return false
  return adobeTransform === undefined
    ? String.fromCharCode(...components.map(({ id }) => id)) === 'RGB'
    : adobeTransform === 0
}
