/** Images as programs have them: a path, the bytes of a file, decoded pixels, or something that a page draws. */
import { DataError, OptionError } from '../base/errors.ts'
import type { Pixels } from './pixels.ts'

/** Bytes of an image file that are read later, such as a `Blob` or a `File`. */
export interface BlobLike {
  /** Name of a `File`, used in errors. */
  readonly name?: string
  readonly size: number
  arrayBuffer(): Promise<ArrayBuffer>
}

/**
 * Decoded 8-bit pixels, row by row from the top left, with one (grey), three (RGB) or four bytes (RGBA) each; an alpha
 * channel is ignored. `Pixels` and the `ImageData` of a canvas are such.
 */
export interface PixelSource {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array | Uint8ClampedArray
}

/**
 * Image that a page draws: an `ImageBitmap`, a canvas, an `<img>`, a `<video>` (its current frame) or a `VideoFrame`.
 * Read by platforms with a canvas only.
 */
export type Drawable =
  | { readonly width: number; readonly height: number }
  | { readonly displayWidth: number; readonly displayHeight: number }

/** Image to classify: the path of a file, the bytes of one in any format that is decoded here, pixels, or a drawable. */
export type ImageSource = string | Uint8Array | ArrayBuffer | BlobLike | PixelSource | Drawable

/** Image source brought to one of two forms: a file for the decoder, or pixels. */
export type OpenedImage =
  | { readonly path: string; readonly bytes?: Uint8Array; readonly pixels?: undefined }
  | { readonly path: string; readonly pixels: Pixels }

/** Circumstances of opening an image source. */
export interface OpenImageOptions {
  /** Caller, named in errors. */
  readonly where: string
  /** Name of an image that has none of its own. Default 'the image' */
  readonly name?: string
  /** Reads the pixels of a drawable; `undefined` for anything else. Default: there are no drawables */
  readonly draw?: ((image: object) => Pixels | undefined) | undefined
}

/**
 * Brings an image source to the form that the decoder takes, or to pixels.
 *
 * @throws OptionError  for a value that is not an image, and pixels whose number does not match their size
 * @throws DataError    for a blob that cannot be read
 */
export async function openImage(
  source: ImageSource,
  { where, name = 'the image', draw }: OpenImageOptions,
): Promise<OpenedImage> {
  if (typeof source === 'string' && source !== '') return { path: source }
  if (source instanceof Uint8Array) return { path: name, bytes: source }
  if (source instanceof ArrayBuffer) return { path: name, bytes: new Uint8Array(source) }
  if (typeof source === 'object' && source !== null) {
    if (isBlob(source)) return readBlob(source, name)
    if (isPixels(source)) return { path: name, pixels: rgba(where, source) }
    const pixels = draw?.(source)
    if (pixels) return { path: name, pixels }
  }
  throw new OptionError(where, 'this is not an image', {
    given: { [name]: described(source) },
    expected:
      'a path, the bytes of an image file (Uint8Array, ArrayBuffer, Blob, File), or pixels { width, height, data }' +
      (draw ? ', an ImageBitmap, ImageData, canvas, <img>, <video> or VideoFrame' : ''),
    fix: Array.isArray(source)
      ? 'pass several images to predictAll'
      : source instanceof Promise
        ? 'await it'
        : undefined,
  })
}

/** True for the path or the bytes of a file; false for pixels, and for what a page draws. */
export function isImageFile(source: ImageSource): boolean {
  const isBytes = source instanceof Uint8Array || source instanceof ArrayBuffer
  return typeof source === 'string' || isBytes || isBlob(new Object(source))
}

function isBlob(source: object): source is BlobLike {
  return 'arrayBuffer' in source && typeof source.arrayBuffer === 'function'
}

function isPixels(source: object): source is PixelSource {
  return 'data' in source && (source.data instanceof Uint8Array || source.data instanceof Uint8ClampedArray)
}

async function readBlob(blob: BlobLike, name: string): Promise<OpenedImage> {
  const path = blob.name === undefined || blob.name === '' ? name : blob.name
  try {
    return { path, bytes: new Uint8Array(await blob.arrayBuffer()) }
  } catch (cause) {
    throw new DataError(path, 'the file cannot be read', {
      given: { reason: cause instanceof Error ? cause.message : String(cause) },
      fix: 'it may have changed since it was chosen: choose it again',
      cause,
    })
  }
}

/** Converts pixels of one, three or four bytes to RGBA; four are returned without a copy. */
function rgba(where: string, { width, height, data }: PixelSource): Pixels {
  const count = width * height
  const channels = data.length / count
  const whole = [width, height].every((side) => Number.isInteger(side) && side > 0)
  if (!whole || ![1, 3, 4].includes(channels)) {
    throw new OptionError(where, 'the number of bytes does not match the size of the image', {
      given: { width, height, bytes: data.length },
      expected: 'one byte per pixel (grey), three (red, green, blue), or four, of which the last is ignored',
    })
  }
  if (channels === 4) {
    return { width, height, data: new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength) }
  }
  const made = new Uint8Array(4 * count).fill(255)
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) made[4 * i + c] = data[channels * i + (channels === 1 ? 0 : c)]
  }
  return { width, height, data: made }
}

function described(source: unknown): string {
  if (typeof source === 'string') return `'${source}'`
  if (Array.isArray(source)) return `a list of ${source.length}`
  if (typeof source !== 'object' || source === null) return String(source)
  const { constructor } = source
  return typeof constructor === 'function' && constructor !== Object
    ? `of class ${constructor.name}`
    : `{ ${Object.keys(source).slice(0, 4).join(', ')} }`
}
