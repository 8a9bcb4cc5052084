import type { PngReader } from '../../image/png.ts'
import type { Pixels } from '../../image/pixels.ts'
import { bitmapPixels, context } from './image-bitmap.ts'

/** PNG file bytes of an 8-bit RGBA image, by the browser's own encoder. */
export async function encodePng({ width, height, data }: Pixels): Promise<Uint8Array> {
  const canvas = new OffscreenCanvas(width, height)
  context(canvas).putImageData(new ImageData(new Uint8ClampedArray(data), width, height), 0, 0)
  return new Uint8Array(await (await canvas.convertToBlob({ type: 'image/png' })).arrayBuffer())
}

/** Decompresses the first `byteCount` bytes of image data of a PNG file, by the browser. */
async function inflate(data: Uint8Array, byteCount: number): Promise<Uint8Array> {
  const reader = new Blob([new Uint8Array(data)]).stream().pipeThrough(new DecompressionStream('deflate')).getReader()
  const bytes = new Uint8Array(byteCount)
  let length = 0
  while (length < byteCount) {
    const { value, done } = await reader.read()
    if (done) break
    bytes.set(value.subarray(0, byteCount - length), length)
    length = Math.min(byteCount, length + value.length)
  }
  await reader.cancel()
  return bytes.subarray(0, length)
}

/**
 * Reader of PNG files by the browser's own decoder, colour profiles ignored. Its pixels are those of Node, except for images
 * with an alpha channel: a canvas stores colours multiplied by their alpha, so there they are rounded, and lost where nothing
 * is opaque.
 */
export const pngReader: PngReader = { inflate, decode: ({ file }) => bitmapPixels(file, 'image/png') }
