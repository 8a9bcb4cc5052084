import { constants, crc32, deflateSync, inflateSync } from 'node:zlib'
import { PNG } from 'pngjs'
import type { CheckedPng, PngReader } from '../../image/png.ts'
import type { Pixels } from '../../image/pixels.ts'

/** PNG file bytes of an 8-bit RGBA image. */
export function encodePng({ width, height, data }: Pixels): Promise<Uint8Array> {
  const png = new PNG({ width, height })
  png.data.set(data)
  return Promise.resolve(new Uint8Array(PNG.sync.write(png)))
}

/** The pixels of a PNG as 8-bit RGBA; of 16-bit samples the upper byte, as Pillow reads them. */
export function decodePng(bytes: Uint8Array): Pixels {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const depth = file[24]
  const { width, height, data } = PNG.sync.read(file, { skipRescale: depth === 16 })
  // With skipRescale the samples are Uint16, which the types do not say.
  const samples: ArrayLike<number> = data
  const upper = depth === 16 ? new Uint8Array(samples.length).map((_, i) => samples[i] >> 8) : new Uint8Array(data)
  return { width, height, data: upper }
}

/** More than was asked for, for files with bytes behind their last row; what goes far beyond it is no image. */
const BEYOND = 2 ** 16

/** Decompresses image data of a PNG file, by zlib. More than `byteCount` bytes may be returned where there are more. */
function inflate(data: Uint8Array, byteCount: number): Uint8Array {
  // Flushed where it ends: whether enough is there is for the check to say.
  const all = inflateSync(data, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: byteCount + BEYOND })
  return new Uint8Array(all.buffer, all.byteOffset, Math.min(all.length, byteCount))
}

/**
 * The file with the rows as its only image data, not compressed again. Where data ends before or behind them, pngjs takes
 * the number of bytes that zlib has not read for that of bytes it has not written: it refuses the file, or shows memory
 * that nothing was written to.
 */
function exactly({ file, headBytes, rows }: CheckedPng): Uint8Array {
  const data = deflateSync(rows, { level: constants.Z_NO_COMPRESSION })
  return Buffer.concat([file.subarray(0, headBytes), chunk('IDAT', data), chunk('IEND')])
}

function chunk(type: string, content = new Uint8Array()): Buffer {
  const bytes = Buffer.alloc(12 + content.length)
  bytes.writeUInt32BE(content.length)
  bytes.write(type, 4, 'latin1')
  bytes.set(content, 8)
  bytes.writeUInt32BE(crc32(bytes.subarray(4, -4)), 8 + content.length)
  return bytes
}

export const pngReader: PngReader = { inflate, decode: (png) => decodePng(exactly(png)) }
