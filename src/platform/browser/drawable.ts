import { DataError } from '../../base/errors.ts'
import type { Pixels } from '../../image/pixels.ts'
import { context } from './image-bitmap.ts'

/** Classes that a canvas draws. Not all of them are there in a worker. Source: HTML standard, CanvasImageSource. */
const CLASSES = [
  'ImageBitmap',
  'HTMLCanvasElement',
  'OffscreenCanvas',
  'VideoFrame',
  'HTMLVideoElement',
  'HTMLImageElement',
  'SVGImageElement',
] as const

/** Names of width and height of the pixels, by class where they are not `width` and `height`. */
const SIZES: Readonly<Record<string, readonly [string, string]>> = {
  VideoFrame: ['displayWidth', 'displayHeight'],
  HTMLVideoElement: ['videoWidth', 'videoHeight'],
  HTMLImageElement: ['naturalWidth', 'naturalHeight'],
}

/**
 * Pixels of what a page draws, in its own size; `undefined` for anything else.
 *
 * @throws DataError  for an image or a video that has not loaded, and for one of another origin that may not be read
 */
export function drawablePixels(image: object): Pixels | undefined {
  const kind = CLASSES.find((name) => {
    const known = (globalThis as Readonly<Record<string, unknown>>)[name]
    return typeof known === 'function' && image instanceof known
  })
  if (kind === undefined) return undefined
  const [w, h] = SIZES[kind] ?? ['width', 'height']
  const [width, height] = [sideOf(image, w), sideOf(image, h)]
  if (!(width > 0 && height > 0)) {
    throw new DataError(kind, 'it has no pixels', {
      given: { [w]: width, [h]: height },
      fix:
        kind === 'HTMLVideoElement'
          ? 'wait for its first frame: the event loadeddata'
          : 'wait until it has loaded; an ImageBitmap or VideoFrame that was closed has none left',
    })
  }
  try {
    const drawing = context(new OffscreenCanvas(width, height))
    drawing.drawImage(image as CanvasImageSource, 0, 0, width, height)
    return { width, height, data: new Uint8Array(drawing.getImageData(0, 0, width, height).data.buffer) }
  } catch (cause) {
    if (!(cause instanceof Error && cause.name === 'SecurityError')) throw cause
    throw new DataError(kind, 'the browser does not let this page read it, as it comes from another origin', {
      fix: 'load it with the attribute crossorigin="anonymous", from a server that allows this page (CORS)',
      cause,
    })
  }
}

/** Side of an image in pixels. The sides of an SVG image are lengths. */
function sideOf(image: object, name: string): number {
  const side: unknown = (image as Readonly<Record<string, unknown>>)[name]
  if (typeof side === 'number') return side
  const length = (side as { readonly baseVal?: { readonly value: number } } | undefined)?.baseVal?.value ?? 0
  return Math.round(length)
}
