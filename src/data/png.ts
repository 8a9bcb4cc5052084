/**
 * PNG bytes to 8-bit RGB. The same reader in Node and in a page: only decompression is the platform's.
 *
 * Source: W3C Portable Network Graphics (PNG) Specification, third edition.
 */
import type { Pixels } from '../platform/platform.ts'

/** The first `byteCount` bytes of zlib data, or all of them where there are fewer. Throws where the data is damaged. */
export type Inflate = (data: Uint8Array, byteCount: number) => Uint8Array | Promise<Uint8Array>

/** Bytes of the signature, and of the header chunk with its length, type and checksum. */
const SIGNATURE_BYTES = 8
const HEADER_BYTES = 25

/** A byte of zlib data stands for at most so many. Source: zlib.net/zlib_tech.html, "Maximum Compression Factor". */
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

/** First column and row of each pass of an interlaced image, and the steps to the next. Source: PNG, figure 9 (Adam7). */
const PASSES = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]] as const
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
  if (compression !== 0 || filter !== 0 || interlace > 1) throw new Error('its compression, filter or interlacing is not one of PNG')
  return {
    width: view.getUint32(16), height: view.getUint32(20), depth, colourType, channels: kind.channels, interlaced: interlace === 1,
  }
}

/**
 * The pixels, colours as they are stored: an alpha channel and a colour declared transparent are left out, of 16 bits
 * the upper 8 are kept, as Pillow does. Bytes behind the end are ignored.
 *
 * @throws Error  when the file is damaged, or has fewer rows than its header says: nothing is filled in
 */
export async function decodePng(bytes: Uint8Array, inflate: Inflate): Promise<Pixels> {
  const header = readPngHeader(bytes)
  const { data, palette } = readChunks(bytes)
  if (header.colourType === PALETTE && !palette) throw new Error('it has no palette')
  const passes = (header.interlaced ? PASSES : WHOLE).map((pass) => passOf(header, pass)).filter(({ width, height }) => width * height > 0)
  const needed = passes.reduce((sum, { rowBytes, height }) => sum + (1 + rowBytes) * height, 0)
  // Before memory is taken for what the header promises.
  if (data.length * MOST_BYTES_OF_ONE < needed) throw new Error(tooFew(data.length * MOST_BYTES_OF_ONE, needed))
  const rows = await inflate(data, needed)
  if (rows.length < needed) throw new Error(tooFew(rows.length, needed))
  const pixels = new Uint8Array(header.width * header.height * 4)
  let at = 0
  for (const pass of passes) {
    unfilter(rows, at, pass, Math.max(1, (header.channels * header.depth) >> 3))
    spread(rows, at, pass, header, palette, pixels)
    at += (1 + pass.rowBytes) * pass.height
  }
  return { width: header.width, height: header.height, data: pixels }
}

function tooFew(there: number, needed: number): string {
  return `rows are missing: ${there} bytes of pixels at most, where its size needs ${needed}`
}

/** The image data of all its chunks in a row, and the palette, three bytes a colour. */
function readChunks(bytes: Uint8Array): { readonly data: Uint8Array; readonly palette: Uint8Array | undefined } {
  const view = viewOf(bytes)
  const parts: Uint8Array[] = []
  let palette: Uint8Array | undefined
  // A chunk is its length, its type, so many bytes and a checksum over type and bytes.
  for (let at = SIGNATURE_BYTES; ;) {
    if (at + 12 > bytes.length) throw new Error('it has no end')
    const length = view.getUint32(at)
    const type = typeAt(bytes, at)
    const end = at + 12 + length
    if (end > bytes.length) throw new Error(`its ${type} chunk reaches beyond its end`)
    // A capital first letter marks what a reader must understand.
    const critical = type < 'a'
    if (critical && crc32(bytes.subarray(at + 4, end - 4)) !== view.getUint32(end - 4)) throw new Error(`the checksum of its ${type} chunk is wrong`)
    const content = bytes.subarray(at + 8, end - 4)
    at = end
    if (type === 'IEND') break
    if (type === 'IDAT') parts.push(content)
    else if (type === 'PLTE') palette = content
    else if (critical && type !== 'IHDR') throw new Error(`there is no ${type} chunk in a PNG`)
  }
  return { data: joined(parts), palette }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** The pixels of one pass, and where they lie in the image. */
interface Pass {
  readonly x: number
  readonly y: number
  readonly stepX: number
  readonly stepY: number
  readonly width: number
  readonly height: number
  /** Without the byte that names its filter. */
  readonly rowBytes: number
}

function passOf({ width, height, channels, depth }: PngHeader, [x, y, stepX, stepY]: readonly [number, number, number, number]): Pass {
  const columns = Math.max(0, Math.ceil((width - x) / stepX))
  return {
    x, y, stepX, stepY, width: columns, height: Math.max(0, Math.ceil((height - y) / stepY)),
    rowBytes: Math.ceil((columns * channels * depth) / 8),
  }
}

/** Takes the filters of a pass back, in place: each byte was stored as its difference to what those around it predict. */
function unfilter(rows: Uint8Array, start: number, { rowBytes, height }: Pass, pixelBytes: number): void {
  const stride = 1 + rowBytes
  for (let y = 0, row = start; y < height; y++, row += stride) {
    const filter = rows[row]
    if (filter > 4) throw new Error(`there is no filter ${filter}`)
    if (filter === 0) continue
    const first = row + 1
    const end = row + stride
    for (let at = first; at < end; at++) {
      const left = at - pixelBytes >= first ? rows[at - pixelBytes] : 0
      const up = y > 0 ? rows[at - stride] : 0
      if (filter === 1) rows[at] += left
      else if (filter === 2) rows[at] += up
      else if (filter === 3) rows[at] += (left + up) >> 1
      else rows[at] += paeth(left, up, at - pixelBytes >= first && y > 0 ? rows[at - stride - pixelBytes] : 0)
    }
  }
}

/** Whichever of the three is nearest to left + up − corner. Source: PNG specification, filter type 4. */
function paeth(left: number, up: number, corner: number): number {
  const toLeft = Math.abs(up - corner)
  const toUp = Math.abs(left - corner)
  const toCorner = Math.abs(left + up - 2 * corner)
  if (toLeft <= toUp && toLeft <= toCorner) return left
  return toUp <= toCorner ? up : corner
}

/** Puts the samples of a pass where their pixels are, as 8-bit RGB. */
function spread(
  rows: Uint8Array, start: number, pass: Pass, { width, depth, channels, colourType }: PngHeader,
  palette: Uint8Array | undefined, pixels: Uint8Array,
): void {
  const sampleBytes = depth === 16 ? 2 : 1
  // Of less than a byte several lie in one, the first in the upper bits, spread over 0 … 255 where they are a grey.
  const perByte = depth < 8 ? 8 / depth : 1
  const mask = 2 ** Math.min(8, depth) - 1
  const scale = colourType === PALETTE ? 1 : 255 / mask
  for (let y = 0; y < pass.height; y++) {
    const row = start + y * (1 + pass.rowBytes) + 1
    let out = ((pass.y + y * pass.stepY) * width + pass.x) * 4
    for (let x = 0; x < pass.width; x++, out += pass.stepX * 4) {
      if (colourType === 2 || colourType === 6) {
        const at = row + x * channels * sampleBytes
        pixels[out] = rows[at]
        pixels[out + 1] = rows[at + sampleBytes]
        pixels[out + 2] = rows[at + 2 * sampleBytes]
      } else {
        const sample = perByte === 1
          ? rows[row + x * channels * sampleBytes]
          : ((rows[row + Math.floor(x / perByte)] >> (8 - depth * (1 + (x % perByte)))) & mask) * scale
        const coloured = colourType === PALETTE && palette !== undefined
        if (coloured && 3 * sample + 2 >= palette.length) throw new Error(`colour ${sample} is not in its palette`)
        for (let c = 0; c < 3; c++) pixels[out + c] = coloured ? palette[3 * sample + c] : sample
      }
      pixels[out + 3] = 255
    }
  }
}

/** Remainders of every byte. Source: PNG specification, annex D, "Sample CRC implementation". */
const REMAINDERS = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? 0xedb88320 ^ (remainder >>> 1) : remainder >>> 1
  return remainder
})

/** The checksum of a chunk's type and content. */
export function crc32(bytes: Uint8Array): number {
  let remainder = 0xffffffff
  for (let i = 0; i < bytes.length; i++) remainder = REMAINDERS[(remainder ^ bytes[i]) & 0xff] ^ (remainder >>> 8)
  return ~remainder >>> 0
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function typeAt(bytes: Uint8Array, chunk: number): string {
  return String.fromCharCode(...bytes.subarray(chunk + 4, chunk + 8))
}
