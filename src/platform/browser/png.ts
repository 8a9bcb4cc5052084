import type { PngReader } from '../../image/png.ts'
import type { Pixels } from '../../image/pixels.ts'

/** PNG file bytes of an 8-bit RGBA picture, by the browser's own encoder. */
export async function encodePng({ width, height, data }: Pixels): Promise<Uint8Array> {
  const canvas = new OffscreenCanvas(width, height)
  context(canvas).putImageData(new ImageData(new Uint8ClampedArray(data), width, height), 0, 0)
  return new Uint8Array(await (await canvas.convertToBlob({ type: 'image/png' })).arrayBuffer())
}

/**
 * The pixels of a PNG as 8-bit RGBA, by the browser's own decoder, colour profiles ignored: those of Node, but for
 * images with an alpha channel. A canvas stores colours multiplied by their alpha, so there they are rounded, and lost
 * where nothing is opaque.
 */
async function decodePng(bytes: Uint8Array): Promise<Pixels> {
  const blob = new Blob([new Uint8Array(bytes)], { type: 'image/png' })
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' })
  const { width, height } = bitmap
  const drawing = context(new OffscreenCanvas(width, height))
  drawing.drawImage(bitmap, 0, 0)
  bitmap.close()
  return { width, height, data: new Uint8Array(drawing.getImageData(0, 0, width, height).data.buffer) }
}

/** See image/png.ts. */
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

export const pngReader: PngReader = { inflate, decode: ({ file }) => decodePng(file) }

function context(canvas: OffscreenCanvas): OffscreenCanvasRenderingContext2D {
  const drawing = canvas.getContext('2d', { willReadFrequently: true })
  if (drawing === null) throw new Error('this browser has no 2-D canvas outside the page')
  return drawing
}
