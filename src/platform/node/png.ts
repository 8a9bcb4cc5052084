import { deflateSync, inflateSync, constants } from 'node:zlib'
import { crc32 } from '../../data/png.ts'
import type { Pixels } from '../platform.ts'

/** More than was asked for, for files with bytes behind their last row; what goes far beyond it is no image. */
const BEYOND = 2 ** 16

/** The first bytes of zlib data. See data/png.ts. */
export function inflate(data: Uint8Array, byteCount: number): Uint8Array {
  // Flushed where it ends: whether enough is there is for the reader to say.
  const all = inflateSync(data, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: byteCount + BEYOND })
  return new Uint8Array(all.buffer, all.byteOffset, Math.min(all.length, byteCount))
}

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)
/** 8 bits of red, green, blue and alpha, compressed, filtered by row, not interlaced. */
const RGBA_8 = [8, 6, 0, 0, 0] as const
/** Each byte less the one of the pixel to the left. */
const SUB = 1

/** PNG file bytes of an 8-bit RGBA picture. */
export function encodePng({ width, height, data }: Pixels): Promise<Uint8Array> {
  const stride = 1 + width * 4
  const rows = new Uint8Array(stride * height)
  for (let y = 0; y < height; y++) {
    const row = y * stride + 1
    const from = y * width * 4
    rows[row - 1] = SUB
    for (let i = 0; i < width * 4; i++) rows[row + i] = data[from + i] - (i < 4 ? 0 : data[from + i - 4])
  }
  const header = new Uint8Array(13)
  new DataView(header.buffer).setUint32(0, width)
  new DataView(header.buffer).setUint32(4, height)
  header.set(RGBA_8, 8)
  const parts = [SIGNATURE, chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', new Uint8Array())]
  return Promise.resolve(new Uint8Array(Buffer.concat(parts)))
}

function chunk(type: string, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + content.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, content.length)
  bytes.set(Buffer.from(type, 'latin1'), 4)
  bytes.set(content, 8)
  view.setUint32(8 + content.length, crc32(bytes.subarray(4, 8 + content.length)))
  return bytes
}
