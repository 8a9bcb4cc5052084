/**
 * The check of a PNG before a decoder gets it. Decoders make up rows that are missing: pngjs takes them from memory that is
 * not zeroed, browsers leave them empty.
 *
 * Source: W3C Portable Network Graphics (PNG) Specification, third edition.
 */
import { crc32 } from '../base/crc32.ts'
import { joined } from '../base/join.ts'
import { exifOrientation, type Orientation } from './orientation.ts'
import type { Pixels } from './pixels.ts'

/** The first `byteCount` bytes of zlib data, or all of them where there are fewer. Throws where the data is damaged. */
export type Inflate = (data: Uint8Array, byteCount: number) => Uint8Array | Promise<Uint8Array>

/** Part of a platform in reading a PNG. */
export interface PngReader {
  readonly inflate: Inflate
  /** The pixels as 8-bit RGBA. */
  decode(png: CheckedPng): Pixels | Promise<Pixels>
}

/** A PNG that holds all rows of the size that its header says. */
export interface CheckedPng {
  /**
   * The file's critical chunks. Decoders paint the pixels of a colour declared transparent (tRNS) black, where dropping the
   * alpha channel has to leave them as they are, and browsers turn what a chunk says is turned.
   */
  readonly file: Uint8Array
  /** Length of the chunks before the image data. */
  readonly headBytes: number
  /** Inflated image data: for each row one byte for its filter, then its samples. */
  readonly rows: Uint8Array
  /** Orientation in its eXIf chunk; 1 without one. */
  readonly orientation: Orientation
}

/** Bytes of the signature, and of the header chunk with its length, type and checksum. */
const SIGNATURE_BYTES = 8
const HEADER_BYTES = 25

/** Largest number of bytes that one byte of zlib data stands for. Source: zlib.net/zlib_tech.html, "Maximum Compression Factor". */
const MOST_BYTES_OF_ONE = 1032

/** Channels by colour type, and the bit depths each may have. Source: PNG specification, table 12. */
const COLOUR_TYPES: ReadonlyMap<number, { readonly channels: number; readonly depths: readonly number[] }> = new Map([
  [0, { channels: 1, depths: [1, 2, 4, 8, 16] }],
  [2, { channels: 3, depths: [8, 16] }],
  [3, { channels: 1, depths: [1, 2, 4, 8] }],
  [4, { channels: 2, depths: [8, 16] }],
  [6, { channels: 4, depths: [8, 16] }],
])
const PALETTE = 3
/** Source: PNG specification, table 13. */
const LAST_FILTER = 4
/** Source: PNG specification, section 11.2. */
const CRITICAL: ReadonlySet<string> = new Set(['IHDR', 'PLTE', 'IDAT', 'IEND'])

/** First column and row of each pass of an interlaced image, and the steps to the next. Source: PNG, figure 9 (Adam7). */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const
const WHOLE = [[0, 0, 1, 1]] as const

export interface PngHeader {
  readonly width: number
  readonly height: number
  readonly depth: number
  readonly colourType: number
  readonly channels: number
  readonly interlaced: boolean
}

/** Size and kind of an image. @throws Error  when the bytes are too few or say something that no PNG says */
export function readPngHeader(bytes: Uint8Array): PngHeader {
  if (bytes.length < SIGNATURE_BYTES + HEADER_BYTES) throw new Error('it ends within its header')
  const view = viewOf(bytes)
  if (view.getUint32(8) !== 13 || typeAt(bytes, 8) !== 'IHDR') throw new Error('it does not begin with a header')
  const [depth, colourType, compression, filter, interlace] = bytes.subarray(24, 29)
  const kind = COLOUR_TYPES.get(colourType)
  if (!kind?.depths.includes(depth)) throw new Error(`there is no colour type ${colourType} of ${depth} bits`)
  if (compression !== 0 || filter !== 0 || interlace > 1) {
    throw new Error('its compression, filter or interlacing is not one of PNG')
  }
  return {
    width: view.getUint32(16),
    height: view.getUint32(20),
    depth,
    colourType,
    channels: kind.channels,
    interlaced: interlace === 1,
  }
}

/** A file as a decoder may have it; bytes behind its end are ignored. @throws Error  when it is damaged or has too few rows */
export async function checkPng(bytes: Uint8Array, inflate: Inflate): Promise<CheckedPng> {
  const header = readPngHeader(bytes)
  const { file, headBytes, data, types, exif } = readChunks(bytes)
  if (header.colourType === PALETTE && !types.has('PLTE')) throw new Error('it has no palette')
  const passes = (header.interlaced ? PASSES : WHOLE)
    .map((pass) => sizeOf(header, pass))
    .filter(({ columns, rows }) => columns * rows > 0)
  const needed = passes.reduce((sum, { rowBytes, rows }) => sum + rowBytes * rows, 0)
  // Before memory is taken for what the header promises.
  if (data.length * MOST_BYTES_OF_ONE < needed) throw new Error(tooFew(data.length * MOST_BYTES_OF_ONE, needed))
  const rows = await inflate(data, needed)
  if (rows.length < needed) throw new Error(tooFew(rows.length, needed))
  let at = 0
  for (const pass of passes) {
    for (const end = at + pass.rowBytes * pass.rows; at < end; at += pass.rowBytes) {
      if (rows[at] > LAST_FILTER) throw new Error(`there is no filter ${rows[at]}`)
    }
  }
  return { file, headBytes, rows, orientation: exif ? exifOrientation(exif) : 1 }
}

function tooFew(there: number, needed: number): string {
  return `rows are missing: ${there} bytes of pixels at most, where its size needs ${needed}`
}

/** The critical chunks, and the image data of all of them in a row. */
function readChunks(bytes: Uint8Array) {
  const view = viewOf(bytes)
  const kept = [bytes.subarray(0, SIGNATURE_BYTES)]
  let headBytes = SIGNATURE_BYTES
  const data: Uint8Array[] = []
  const types = new Set<string>()
  let exif: Uint8Array | undefined
  // A chunk is its length, its type, so many bytes and a checksum over type and bytes.
  for (let at = SIGNATURE_BYTES; !types.has('IEND');) {
    if (at + 12 > bytes.length) throw new Error('it has no end')
    const type = typeAt(bytes, at)
    const end = at + 12 + view.getUint32(at)
    if (end > bytes.length) throw new Error(`its ${type} chunk reaches beyond its end`)
    const chunk = bytes.subarray(at, end)
    at = end
    // A capital first letter marks what a reader must understand.
    if (type === 'eXIf') exif ??= chunk.subarray(8, -4)
    if (type >= 'a') continue
    if (crc32(chunk.subarray(4, -4)) !== view.getUint32(end - 4)) {
      throw new Error(`the checksum of its ${type} chunk is wrong`)
    }
    if (!CRITICAL.has(type)) throw new Error(`there is no ${type} chunk in a PNG`)
    if (type === 'IDAT') data.push(chunk.subarray(8, -4))
    // The decoders differ in which one counts, and with it the size would not be the one that was checked.
    else if (types.has(type)) throw new Error(`it has two ${type} chunks`)
    else if (data.length === 0) headBytes += chunk.length
    types.add(type)
    kept.push(chunk)
  }
  return { file: joined(Uint8Array, kept), headBytes, data: joined(Uint8Array, data), types, exif }
}

/** Pixels of a pass in each direction, and bytes of a row of it, with the one that names its filter. */
function sizeOf(
  { width, height, channels, depth }: PngHeader,
  [x, y, stepX, stepY]: readonly [number, number, number, number],
) {
  const columns = Math.max(0, Math.ceil((width - x) / stepX))
  return {
    columns,
    rows: Math.max(0, Math.ceil((height - y) / stepY)),
    rowBytes: 1 + Math.ceil((columns * channels * depth) / 8),
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function typeAt(bytes: Uint8Array, chunk: number): string {
  return String.fromCharCode(...bytes.subarray(chunk + 4, chunk + 8))
}
