/** Windows bitmaps (BMP). Source: Microsoft, "Bitmap Storage" and BITMAPINFOHEADER to BITMAPV5HEADER. */
import type { Pixels } from './pixels.ts'

/** Header of a bitmap. */
export interface BmpHeader {
  readonly width: number
  readonly height: number
  /** True if the first row is the upper one. */
  readonly topDown: boolean
  readonly bits: number
  readonly compression: number
  /** Offset of the pixels in the file. */
  readonly dataAt: number
  /** Offset of the palette, bytes of an entry, and number of entries. */
  readonly palette: { readonly at: number; readonly entry: number; readonly count: number }
  /** Bits of red, green and blue, of 16 and 32 bits per pixel. */
  readonly masks: readonly [number, number, number]
}

const RGB = 0
const RLE8 = 1
const RLE4 = 2
const BITFIELDS = 3
const ALPHA_BITFIELDS = 6

const FILE_HEADER = 14
/** Length of BITMAPCOREHEADER, of OS/2, and of BITMAPINFOHEADER. */
const CORE_HEADER = 12
const INFO_HEADER = 40

/** Reads the header of a bitmap. Throws an Error that says what is wrong with it. */
export function readBmpHeader(bytes: Uint8Array): BmpHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < FILE_HEADER + CORE_HEADER) throw new Error('its header is cut short')
  const length = view.getUint32(FILE_HEADER, true)
  const core = length === CORE_HEADER
  if (!core && (length < INFO_HEADER || bytes.length < FILE_HEADER + INFO_HEADER)) {
    throw new Error(`a header of ${length} bytes`)
  }
  const at = FILE_HEADER + 4
  const width = core ? view.getUint16(at, true) : view.getInt32(at, true)
  const signedHeight = core ? view.getUint16(at + 2, true) : view.getInt32(at + 4, true)
  const bits = view.getUint16(at + (core ? 6 : 10), true)
  const compression = core ? RGB : view.getUint32(at + 12, true)
  if (width < 0) throw new Error(`a width of ${width}`)
  const fields = compression === BITFIELDS || compression === ALPHA_BITFIELDS
  const fits =
    compression === RGB
      ? [1, 2, 4, 8, 16, 24, 32].includes(bits)
      : fields
        ? bits === 16 || bits === 32
        : compression === RLE8
          ? bits === 8
          : compression === RLE4 && bits === 4
  if (!fits) throw new Error(`${bits} bits per pixel in compression ${compression} are not read here`)
  // Behind the shortest header the masks follow; the longer ones begin with them.
  const masksAt = FILE_HEADER + INFO_HEADER
  if (fields && bytes.length < masksAt + 12) throw new Error('its header is cut short')
  const used = core ? 0 : view.getUint32(at + 28, true)
  return {
    width,
    height: Math.abs(signedHeight),
    topDown: signedHeight < 0,
    bits,
    compression,
    dataAt: view.getUint32(10, true),
    palette: {
      at: FILE_HEADER + length,
      entry: core ? 3 : 4,
      count: bits > 8 ? 0 : Math.min(used || 2 ** bits, 2 ** bits),
    },
    masks: fields
      ? [view.getUint32(masksAt, true), view.getUint32(masksAt + 4, true), view.getUint32(masksAt + 8, true)]
      : bits === 16
        ? [0x7c00, 0x3e0, 0x1f]
        : [0xff0000, 0xff00, 0xff],
  }
}

/** Decodes a bitmap to 8-bit RGBA; an alpha channel is dropped. Throws an Error that says what is wrong with it. */
export function decodeBmp(bytes: Uint8Array, header: BmpHeader): Pixels {
  const { width, height, topDown, bits, compression } = header
  const data = new Uint8Array(4 * width * height).fill(255)
  const target = (row: number) => 4 * width * (topDown ? row : height - 1 - row)
  if (bits > 8) colors(bytes, header, (row, x, red, green, blue) => data.set([red, green, blue], target(row) + 4 * x))
  else {
    const rgb = paletteOf(bytes, header)
    const indices = compression === RGB ? packed(bytes, header) : runs(bytes, header)
    for (let row = 0; row < height; row++) {
      for (let x = 0; x < width; x++) {
        const index = indices[row * width + x]
        data.set(rgb.subarray(3 * index, 3 * index + 3), target(row) + 4 * x)
      }
    }
  }
  return { width, height, data }
}

/** Bytes of the rows, each padded to a multiple of four. */
function rowsOf(bytes: Uint8Array, { width, height, bits, dataAt }: BmpHeader) {
  const stride = Math.ceil((width * bits) / 32) * 4
  const needed = (height - 1) * stride + Math.ceil((width * bits) / 8)
  if (dataAt + needed > bytes.length) {
    throw new Error(`${bytes.length - dataAt} bytes of pixels where ${needed} are needed`)
  }
  return { stride, view: new DataView(bytes.buffer, bytes.byteOffset + dataAt, bytes.length - dataAt) }
}

function colors(
  bytes: Uint8Array,
  header: BmpHeader,
  use: (row: number, x: number, red: number, green: number, blue: number) => void,
): void {
  const { width, height, bits, masks } = header
  const { stride, view } = rowsOf(bytes, header)
  const size = bits / 8
  const parts = masks.map((mask) => {
    const shift = mask === 0 ? 0 : 31 - Math.clz32(mask & -mask)
    return { mask, shift, most: mask >>> shift }
  })
  const level = (pixel: number, part: number) => {
    const { mask, shift, most } = parts[part]
    return most === 0 ? 0 : Math.trunc((((pixel & mask) >>> shift) * 255) / most)
  }
  for (let row = 0; row < height; row++) {
    for (let x = 0; x < width; x++) {
      const at = row * stride + x * size
      if (size === 3) use(row, x, view.getUint8(at + 2), view.getUint8(at + 1), view.getUint8(at))
      else {
        const pixel = size === 2 ? view.getUint16(at, true) : view.getUint32(at, true)
        use(row, x, level(pixel, 0), level(pixel, 1), level(pixel, 2))
      }
    }
  }
}

/** Red, green and blue of each entry; entries that the file lacks are black. */
function paletteOf(bytes: Uint8Array, { palette: { at, entry, count }, bits }: BmpHeader): Uint8Array {
  const rgb = new Uint8Array(3 * 2 ** bits)
  for (let i = 0; i < count && at + (i + 1) * entry <= bytes.length; i++) {
    const [blue, green, red] = bytes.subarray(at + i * entry)
    rgb.set([red, green, blue], 3 * i)
  }
  return rgb
}

/** Palette indices of rows that are not compressed. */
function packed(bytes: Uint8Array, header: BmpHeader): Uint8Array {
  const { width, height, bits } = header
  const { stride, view } = rowsOf(bytes, header)
  const indices = new Uint8Array(width * height)
  for (let row = 0; row < height; row++) {
    for (let x = 0; x < width; x++) {
      const bit = x * bits
      const byte = view.getUint8(row * stride + (bit >> 3))
      indices[row * width + x] = (byte >> (8 - bits - (bit & 7))) & (2 ** bits - 1)
    }
  }
  return indices
}

/** Palette indices of run-length encoded rows; pixels that are skipped have index 0. */
function runs(bytes: Uint8Array, { width, height, bits, dataAt }: BmpHeader): Uint8Array {
  const indices = new Uint8Array(width * height)
  let at = dataAt
  let [row, x] = [0, 0]
  const byte = () => {
    if (at >= bytes.length) throw new Error('its rows are cut short')
    return bytes[at++]
  }
  const put = (index: number) => {
    if (row < height && x < width) indices[row * width + x] = index
    x++
  }
  const pixel = (value: number, i: number) => (bits === 8 ? value : i % 2 === 0 ? value >> 4 : value & 15)
  for (;;) {
    const [count, value] = [byte(), byte()]
    if (count > 0) for (let i = 0; i < count; i++) put(pixel(value, i))
    else if (value === 0) [row, x] = [row + 1, 0]
    else if (value === 1) return indices
    else if (value === 2) [x, row] = [x + byte(), row + byte()]
    else {
      const start = at
      for (let i = 0, current = 0; i < value; i++) {
        if (bits === 8 || i % 2 === 0) current = byte()
        put(pixel(current, i))
      }
      at += (at - start) % 2
    }
  }
}
