import { encode } from '../vendor/jpeg-encoder.js'
import type { Pixels } from './pixels.ts'

/** Quality of a JPEG where none is asked for, as in Pillow. */
const QUALITY = 75

/** Bytes of a JPEG file, by jpeg-js: colours at full size, without metadata. @param quality  1 to 100 */
export function encodeJpeg(pixels: Pixels, quality = QUALITY): Uint8Array {
  const { data } = encode(pixels, quality)
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}
