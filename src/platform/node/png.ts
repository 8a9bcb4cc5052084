import { PNG } from 'pngjs'
import type { Pixels } from '../platform.ts'

/** PNG file bytes of an 8-bit RGBA picture. */
export function encodePng({ width, height, data }: Pixels): Promise<Uint8Array> {
  const png = new PNG({ width, height })
  png.data.set(data)
  return Promise.resolve(new Uint8Array(PNG.sync.write(png)))
}

/** The pixels of a PNG as 8-bit RGBA; of 16-bit samples the upper byte, as Pillow reads them. */
export function decodePng(bytes: Uint8Array): Pixels {
  const file = withoutTransparency(bytes)
  const depth = file[24]
  const { width, height, data } = PNG.sync.read(file, { skipRescale: depth === 16 })
  // With skipRescale the samples are Uint16, which the types do not say.
  const samples: ArrayLike<number> = data
  const upper = depth === 16 ? Uint8Array.from(samples, (sample) => sample >> 8) : new Uint8Array(data)
  return { width, height, data: upper }
}

/**
 * The file without its tRNS chunk and without anything after its last chunk. pngjs paints the pixels of a colour
 * declared transparent black, where dropping the alpha channel has to leave them as they are, and refuses a file with
 * bytes behind its end, which other readers ignore.
 */
function withoutTransparency(bytes: Uint8Array): Buffer {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const parts = [file.subarray(0, 8)]
  for (let at = 8; at + 12 <= file.length;) {
    const type = file.toString('latin1', at + 4, at + 8)
    const end = at + 12 + file.readUInt32BE(at)
    if (type !== 'tRNS') parts.push(file.subarray(at, end))
    if (type === 'IEND') break
    at = end
  }
  return Buffer.concat(parts)
}
