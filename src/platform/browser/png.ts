import type { Pixels } from '../platform.ts'

/** PNG file bytes of an 8-bit RGBA picture, by the browser's own encoder. */
export async function encodePng({ width, height, data }: Pixels): Promise<Uint8Array> {
  const canvas = new OffscreenCanvas(width, height)
  context(canvas).putImageData(new ImageData(new Uint8ClampedArray(data), width, height), 0, 0)
  return new Uint8Array(await (await canvas.convertToBlob({ type: 'image/png' })).arrayBuffer())
}

/** The first bytes of zlib data. See data/png.ts. */
export async function inflate(data: Uint8Array, byteCount: number): Promise<Uint8Array> {
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

function context(canvas: OffscreenCanvas): OffscreenCanvasRenderingContext2D {
  const drawing = canvas.getContext('2d', { willReadFrequently: true })
  if (drawing === null) throw new Error('this browser has no 2-D canvas outside the page')
  return drawing
}
