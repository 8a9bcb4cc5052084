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
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const depth = file[24]
  const { width, height, data } = PNG.sync.read(file, { skipRescale: depth === 16 })
  // With skipRescale the samples are Uint16, which the types do not say.
  const samples: ArrayLike<number> = data
  const upper = depth === 16 ? Uint8Array.from(samples, (sample) => sample >> 8) : new Uint8Array(data)
  return { width, height, data: upper }
}
