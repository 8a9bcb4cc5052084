/** File bytes to RGB pixels. No file access and no threads: the decoding threads and the calling one run this alike. */
import { DataError, DecodeError, OptionError, WgradError } from '../base/errors.ts'
import { formatBytes } from '../base/format.ts'
import { decodeBmp, readBmpHeader } from './bmp.ts'
import { BUILT_IN_DECODING, type Decoding } from './decode-options.ts'
import { checkKind, type ImageKind, type PlatformFormats } from './image-kind.ts'
import { inGrey } from './grey.ts'
import { checkJpeg } from './jpeg.ts'
import { upright, swapsSides, type Orientation } from './orientation.ts'
import type { Pixels } from './pixels.ts'
import { checkPng, readPngHeader, type PngReader } from './png.ts'
import type { ResizePlan } from './resize-plan.ts'
import { resizePixels, shrinkFor } from './resize.ts'

/** Limit of the built-in decoders: more than an ordinary photograph has. */
const MAX_MEGAPIXELS = 100
/** Limit of decoders that need no more memory than the pixels. Source: sharp, limitInputPixels. */
const MAX_MEGAPIXELS_OF_PLATFORM = 268
/** Limit of libpng (PNG_USER_HEIGHT_MAX). pngjs makes objects for every row: of a hundred million they fill the heap. */
const MAX_SIDE = 1_000_000
/** From this size on the free memory is asked for: 100 megapixels of a JPEG take 3.3 GB. */
const LARGE_MEGAPIXELS = 20

/** An image on its way into the decoder of a platform. */
export interface PlatformImage {
  readonly path: string
  readonly kind: ImageKind
  readonly bytes: Uint8Array
  /** Turn the image as its metadata say. */
  readonly turn: boolean
  /** Size as stored, where the header was read already: the bytes are then without metadata. */
  readonly size?: { readonly width: number; readonly height: number } | undefined
  /**
   * Number of stored pixels along each axis that may become one, a power of two: 1 decodes the whole image.
   *
   * @param width  of the upright image
   * @throws DataError  when the image is too large
   */
  shrink(width: number, height: number): number
}

/** Decoder of a platform for the formats that are not built in, and on request for those that are. */
export interface PlatformDecoder extends PlatformFormats {
  /**
   * Number of pixels from which on a JPEG that is resized is decoded here, at a fraction of its size, whatever decoder was
   * asked for. Default: none
   */
  readonly photograph?: number
  /**
   * 8-bit RGBA pixels of the first frame, colour profiles ignored.
   *
   * @throws DataError  that names the path, or any other error when the file is damaged
   */
  decode(image: PlatformImage): Promise<Pixels>
}

/** Circumstances of decoding one image. */
export interface DecodeImageOptions {
  /** fastai's Resize, see image/resize.ts; absent: the whole image. */
  readonly resize?: ResizePlan | undefined
  /** Default: by the built-in decoders, the orientation applied */
  readonly decoding?: Decoding | undefined
  /** Decoder of other formats than JPEG and PNG. Default: they are refused. */
  readonly platform?: PlatformDecoder | undefined
  /** Memory that is free, asked for where an image is large. */
  readonly availableBytes?: () => number | undefined
}

/**
 * Decodes an image file, its format told by its first bytes, to RGB: grey and CMYK are converted, an alpha channel is
 * dropped, and colours stay those of the file. An orientation in its metadata is applied unless `decoding` says 'ignore'.
 * fastai's `PILImage.create` does the same except for the orientation, which it ignores; its decoder (libjpeg) differs by a
 * few levels, most where colours were stored at half size.
 *
 * @param path  named in errors
 * @param png   the platform's part in reading a PNG
 * @returns     8-bit RGBA, alpha 255; in grey, where that is asked for, before it is resized
 * @throws DecodeError  when the bytes are not an image in a format that is read here, are cut short or damaged, hold more
 *                      than 100 megapixels or a million pixels on a side, or are too few for the size that their header says
 * @throws DataError    when there is no memory for it now
 */
export async function decodeImage(
  path: string,
  bytes: Uint8Array,
  png: PngReader,
  options: DecodeImageOptions = {},
): Promise<Pixels> {
  const { resize, decoding = BUILT_IN_DECODING, platform, availableBytes } = options
  const room: Room = (width, height, needed) => {
    const free = width * height > LARGE_MEGAPIXELS * 1e6 ? (availableBytes?.() ?? Infinity) : Infinity
    if (needed <= free) return
    throw new DataError(path, `there is no memory to decode an image of ${width} × ${height}`, {
      given: { needed: formatBytes(needed), free: formatBytes(free) },
      fix: 'store a smaller copy, or decode on fewer threads.',
    })
  }
  const kind = checkKind(path, bytes, platform)
  const context: Context = { path, bytes, kind, room, decoding, resize, platform, png }
  const pixels = await (kind === 'JPEG'
    ? fromJpeg(context)
    : kind === 'PNG'
      ? fromPng(context)
      : kind === 'BMP'
        ? fromBmp(context)
        : fromOther(context))
  const wanted = decoding.channels === 1 ? inGrey(pixels) : pixels
  return resize === undefined ? wanted : resizePixels(wanted, resize)
}

/** @throws DataError  when an image of that size takes more memory than there is */
type Room = (width: number, height: number, neededBytes: number) => void

interface Context {
  readonly path: string
  readonly bytes: Uint8Array
  readonly kind: ImageKind
  readonly room: Room
  readonly decoding: Decoding
  readonly resize: ResizePlan | undefined
  readonly platform: PlatformDecoder | undefined
  readonly png: PngReader
}

function checkSize(path: string, width: number, height: number, most = MAX_MEGAPIXELS): void {
  if (width * height === 0) throw new DecodeError(path, `an image without pixels (${width} × ${height})`)
  const megapixels = (width * height) / 1e6
  if (megapixels > most) {
    throw new DecodeError(path, `an image of ${width} × ${height} is too large`, {
      given: { size: `${Math.ceil(megapixels)} megapixels` },
      expected: `at most ${most} megapixels`,
      fix: 'store a smaller copy.',
    })
  }
  if (Math.max(width, height) > MAX_SIDE) {
    throw new DecodeError(path, `an image of ${width} × ${height} is too long`, {
      expected: `at most ${MAX_SIDE} pixels on a side`,
    })
  }
}

/** Memory that reading a PNG in Node takes, as measured, in bytes of its pixels and of its rows. */
const TIMES_PIXELS = 2
const TIMES_ROWS = 6

async function fromPng(context: Context): Promise<Pixels> {
  const { path, bytes, png, room, decoding } = context
  try {
    const { width, height, channels, depth } = readPngHeader(bytes)
    checkSize(path, width, height)
    room(width, height, width * height * (TIMES_PIXELS * 4 + (TIMES_ROWS * channels * depth) / 8))
    const checked = await checkPng(bytes, png.inflate)
    if (usesPlatform(context)) return await fromPlatform(context, checked.file, checked.orientation, { width, height })
    return turned(opaque(await png.decode(checked)), checked.orientation, decoding)
  } catch (error) {
    throw error instanceof WgradError ? error : damaged(path, 'PNG', bytes, error)
  }
}

async function fromJpeg(context: Context): Promise<Pixels> {
  const { path, bytes, room, decoding } = context
  try {
    const most = usesPlatform(context) || isPhotograph(context, Infinity) ? MAX_MEGAPIXELS_OF_PLATFORM : MAX_MEGAPIXELS
    const jpeg = checkJpeg(path, bytes, (width, height) => checkSize(path, width, height, most))
    // Decoders of platforms convert CMYK by a colour profile, or not at all.
    if ((usesPlatform(context) || isPhotograph(context, jpeg.width * jpeg.height)) && jpeg.components < 4) {
      try {
        return await firstOf(jpeg.versions(), (version) => fromPlatform(context, version, jpeg.orientation, jpeg))
      } catch (error) {
        // jpeg-js reads some that libjpeg does not, and otherwise says what is wrong with the file.
        if (error instanceof WgradError || decoding.decoder !== 'turbo') throw error
      }
    }
    checkSize(path, jpeg.width, jpeg.height)
    room(jpeg.width, jpeg.height, jpeg.neededBytes)
    return turned(await firstOf(jpeg.versions(), jpeg.decode), jpeg.orientation, decoding)
  } catch (error) {
    throw error instanceof WgradError ? error : damaged(path, 'JPEG', bytes, error)
  }
}

/** Result for the first version that does not fail, or else the failure of the first. */
async function firstOf<T>(versions: Iterable<Uint8Array>, decode: (version: Uint8Array) => T | Promise<T>): Promise<T> {
  let failure: unknown
  try {
    for (const version of versions) {
      try {
        return await decode(version)
      } catch (error) {
        if (error instanceof DataError) throw error
        failure ??= error
      }
    }
  } catch (error) {
    // That a file cannot be repaired says less than what is wrong with it.
    throw error instanceof DataError ? error : (failure ?? error)
  }
  throw failure
}

/** Bitmaps are decoded here on every platform and whichever decoder is asked for: sharp does not read them. */
function fromBmp({ path, bytes, room }: Context): Pixels {
  try {
    const header = readBmpHeader(bytes)
    checkSize(path, header.width, header.height)
    room(header.width, header.height, BMP_BYTES * header.width * header.height)
    return decodeBmp(bytes, header)
  } catch (error) {
    throw error instanceof WgradError ? error : damaged(path, 'BMP', bytes, error)
  }
}

/** Memory that decoding a bitmap takes for each pixel: its color, and its index in the palette. */
const BMP_BYTES = 5

async function fromOther(context: Context): Promise<Pixels> {
  const { path, bytes, kind } = context
  try {
    return await fromPlatform(context, bytes, 1)
  } catch (error) {
    throw error instanceof DataError ? error : damaged(path, kind, bytes, error)
  }
}

/** @throws OptionError  when the decoder that was asked for is not there */
function usesPlatform({ decoding: { decoder }, platform, kind }: Context): boolean {
  if (decoder === 'built-in' || (decoder === 'turbo' && kind !== 'JPEG')) return false
  if (platform?.kinds.has(kind)) return true
  const name = decoder === 'turbo' ? '@cwasm/jpeg-turbo' : decoder
  throw new OptionError('decode', `decoder: '${decoder}' needs the package ${name}: npm install ${name}`)
}

/** True for a JPEG so large that the platform decodes it at a fraction of its size. */
function isPhotograph({ resize, platform, kind }: Context, pixels: number): boolean {
  if (resize === undefined || resize.method === 'whole') return false
  return kind === 'JPEG' && pixels >= (platform?.photograph ?? Infinity)
}

/**
 * Pixels by the platform's decoder.
 *
 * @param bytes        without metadata, in formats that are taken apart here
 * @param orientation  what those said
 * @param size         where it is known
 */
async function fromPlatform(
  context: Context,
  bytes: Uint8Array,
  orientation: Orientation,
  size?: PlatformImage['size'],
): Promise<Pixels> {
  const { path, kind, platform, decoding, resize, room } = context
  if (platform === undefined) throw new Error('there is no decoder for it')
  const pixels = await platform.decode({
    path,
    kind,
    bytes,
    turn: decoding.orientation === 'apply',
    size,
    shrink: (width, height) => {
      checkSize(path, width, height, MAX_MEGAPIXELS_OF_PLATFORM)
      const swapped = decoding.orientation === 'apply' && swapsSides(orientation)
      const [w, h] = swapped ? [height, width] : [width, height]
      const fast = decoding.shrink === 'fast' || isPhotograph(context, w * h)
      const divisor = fast && resize !== undefined ? shrinkFor(w, h, resize) : 1
      room(w, h, (PLATFORM_BYTES * w * h) / divisor ** 2)
      return divisor
    },
  })
  // A JPEG has no alpha channel.
  return turned(kind === 'JPEG' ? pixels : opaque(pixels), orientation, decoding)
}

/** Memory that a platform's decoder takes for each pixel: its own copy, and the one that it hands over. */
const PLATFORM_BYTES = 8

function turned(pixels: Pixels, orientation: Orientation, decoding: Decoding): Pixels {
  return decoding.orientation === 'apply' ? upright(pixels, orientation) : pixels
}

function opaque(pixels: Pixels): Pixels {
  for (let i = 3; i < pixels.data.length; i += 4) pixels.data[i] = 255
  return pixels
}

/** How a complete file ends. Sources: ITU-T T.81, EOI; PNG specification, the type and checksum of IEND. */
const ENDS = { JPEG: [0xff, 0xd9], PNG: [0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82] } as const
const END_NAMES = { JPEG: 'FF D9', PNG: 'an IEND chunk' } as const

function damaged(path: string, kind: ImageKind, bytes: Uint8Array, cause: unknown): DecodeError {
  const [end, endName] = kind === 'JPEG' || kind === 'PNG' ? [ENDS[kind], END_NAMES[kind]] : [[], '']
  const complete = end.every((byte, i) => bytes[bytes.length - end.length + i] === byte)
  // A type error is a decoder stumbling over nonsense: its text says nothing about the file.
  const reason = cause instanceof Error && !(cause instanceof TypeError) ? ` (${cause.message})` : ''
  const what = complete
    ? `a damaged ${kind}${reason}`
    : `a ${kind} that is cut short or damaged (it does not end with ${endName})`
  return new DecodeError(path, what, { fix: 'get the file again, or remove it.', cause })
}
