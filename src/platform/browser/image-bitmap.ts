import type { PlatformDecoder } from '../../image/decode.ts'
import type { ImageKind } from '../../image/image-kind.ts'
import type { Pixels } from '../../image/pixels.ts'

/** Media types of the formats that some browser reads. Source: IANA media types. */
const TYPES: Readonly<Record<ImageKind, string>> = {
  JPEG: 'image/jpeg',
  PNG: 'image/png',
  GIF: 'image/gif',
  WebP: 'image/webp',
  TIFF: 'image/tiff',
  AVIF: 'image/avif',
  HEIC: 'image/heic',
  HEIF: 'image/heif',
  BMP: 'image/bmp',
}

/** Pixels from which on a JPEG is a photograph, which would come from a worker with 48 MB at 12 megapixels. */
const PHOTOGRAPH = 4e6

/**
 * The browser's own decoder. Which formats it reads is the browser's choice (TIFF and HEIC only Safari's): of the others it
 * says that they are damaged. Photographs are brought to a fraction of their size before their pixels are read.
 */
export const browserDecoder: PlatformDecoder = {
  kinds: new Set(Object.keys(TYPES) as ImageKind[]),
  photograph: PHOTOGRAPH,
  decode: async ({ bytes, kind, turn, size, shrink }) => {
    const imageOrientation = turn ? 'from-image' : 'none'
    const divisor = size ? shrink(size.width, size.height) : 1
    if (size && divisor > 1) {
      return bitmapPixels(bytes, TYPES[kind], {
        imageOrientation,
        resizeWidth: Math.ceil(size.width / divisor),
        resizeHeight: Math.ceil(size.height / divisor),
        resizeQuality: 'medium',
      })
    }
    return bitmapPixels(bytes, TYPES[kind], { imageOrientation }, ({ width, height }) => shrink(width, height))
  },
}

/**
 * Pixels of a file as 8-bit RGBA, by the browser's own decoder, colour profiles ignored.
 *
 * @param checkSize  called before memory is taken for the pixels
 */
export async function bitmapPixels(
  bytes: Uint8Array,
  type: string,
  options: ImageBitmapOptions = {},
  checkSize?: (bitmap: ImageBitmap) => void,
): Promise<Pixels> {
  const blob = new Blob([new Uint8Array(bytes)], { type })
  const bitmap = await createImageBitmap(blob, {
    colorSpaceConversion: 'none',
    premultiplyAlpha: 'none',
    ...options,
  })
  try {
    const { width, height } = bitmap
    checkSize?.(bitmap)
    const drawing = context(new OffscreenCanvas(width, height))
    drawing.drawImage(bitmap, 0, 0)
    return { width, height, data: new Uint8Array(drawing.getImageData(0, 0, width, height).data.buffer) }
  } finally {
    bitmap.close()
  }
}

/** Drawing context of a canvas that is read back. @throws Error  in a browser without one outside the page */
export function context(canvas: OffscreenCanvas): OffscreenCanvasRenderingContext2D {
  const drawing = canvas.getContext('2d', { willReadFrequently: true })
  if (drawing === null) throw new Error('this browser has no 2-D canvas outside the page')
  return drawing
}
