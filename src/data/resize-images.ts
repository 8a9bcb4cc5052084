import { requireInteger } from '../base/check.ts'
import { DataError, OptionError } from '../base/errors.ts'
import { ANY, checkArgument, checkOptions, FLAG, NUMBER, objectWith, oneOfTexts, PATH } from '../base/options.ts'
import { currentGpu } from '../gpu/device.ts'
import { toDecoding, type DecodeOptions } from '../image/decode-options.ts'
import { encodeJpeg } from '../image/encode-jpeg.ts'
import { roundHalfToEven } from '../image/box.ts'
import { resizePixels } from '../image/resize.ts'
import type { Pixels } from '../image/pixels.ts'
import type { Platform } from '../platform/platform.ts'
import { decodeEach, type BadImage } from './decode-each.ts'
import { getImageFiles } from './items.ts'

/** Options of `resizeImages`. */
export interface ResizeImagesOptions {
  /** Length of the longer side in pixels; smaller images stay as large as they are. */
  readonly size: number
  /** Folder of the smaller copies, in the same folders as below `path`. It must not be `path` itself. */
  readonly dest: string
  /** Format of the copies: 'jpg', of quality 75 as in Pillow, or 'png', without loss. Default 'jpg' */
  readonly format?: 'jpg' | 'png'
  /** Keep copies that are there already, to go on where a call was interrupted. Default false */
  readonly resume?: boolean
  /** Options of decoding. Default: those of `ImageBlock()`, so that the copies are upright */
  readonly decoding?: DecodeOptions
  /** Default: that of the open GPU. */
  readonly platform?: Platform
}

/**
 * Writes smaller copies of all images below a folder, so that they are decoded faster in training.
 *
 *   const { bad } = await resizeImages('photos', { size: 500, dest: 'photos-500' })
 *
 * A copy has the name of its image with the format's suffix: `cat/1.webp` becomes `cat/1.jpg`. fastai keeps the name
 * and the format, and turns no image upright.
 *
 * @returns  paths of the copies, and images that cannot be decoded, which have none
 * @throws OptionError  when size is not a positive integer, or dest is the folder of the images
 * @throws DataError    when there are no images, two would get one name, or the copies cannot be written
 * Source: fastai vision/utils.py, resize_images.
 */
export async function resizeImages(
  path: string,
  options: ResizeImagesOptions,
): Promise<{ readonly copies: readonly string[]; readonly bad: readonly BadImage[] }> {
  checkArgument('resizeImages', 'path', path, PATH)
  checkOptions('resizeImages', options, {
    size: NUMBER,
    dest: PATH,
    format: oneOfTexts('jpg', 'png'),
    resume: FLAG,
    decoding: objectWith('options of decoding'),
    platform: ANY,
  })
  const { size, dest, format = 'jpg', resume = false, platform = currentGpu().platform } = options
  const decoding = toDecoding('resizeImages', options.decoding ?? {})
  requireInteger('resizeImages', 'size', size, { from: 1 })
  checkArgument('resizeImages', 'dest', dest, PATH)
  const { files, decoder } = platform
  // A relative path may name the folder of an absolute one, or a link lead to it.
  const idOf = async (folder: string) =>
    files.identify && (await files.exists(folder)) ? files.identify(folder) : undefined
  const id = await idOf(dest)
  const [top, made] = [path, dest].map((folder) => files.join(folder, 'x').slice(0, -1))
  if (made === top || (id !== undefined && id === (await idOf(path)))) {
    throw new OptionError('resizeImages', 'dest is the folder of the images', { given: { dest } })
  }
  const found = await getImageFiles(path, { platform })
  // Copies of an earlier call may lie among the images.
  const images = made.startsWith(top) ? found.filter((image) => !image.startsWith(made)) : found
  const copyOf = new Map<string, string>()
  for (const image of images) {
    const below = image.slice(top.length)
    const copy = files.join(dest, `${below.replace(/\.[^./\\]*$/, '')}.${format}`)
    const other = copyOf.get(copy)
    if (other !== undefined) {
      throw new DataError(image, 'two images would have one copy', { given: { other, copy }, fix: 'rename one.' })
    }
    copyOf.set(copy, image)
  }

  const kept = new Set<string>()
  if (resume) for (const copy of copyOf.keys()) if (await files.exists(copy)) kept.add(copy)
  const wanted = [...copyOf].filter(([copy]) => !kept.has(copy))
  const bad = await decodeEach(
    decoder,
    wanted.map(([, image]) => ({ path: image, decoding })),
    async (pixels, i) => {
      const copy = smaller(pixels, size)
      await files.write(wanted[i][0], format === 'png' ? await platform.encodePng(copy) : encodeJpeg(copy))
    },
  )
  const without = new Set(bad.map(({ path: image }) => image))
  return { copies: [...copyOf].filter(([, image]) => !without.has(image)).map(([copy]) => copy), bad }
}

/** The image with a longer side of at most `size` pixels. Source: fastai vision/core.py, resize_to. */
function smaller(pixels: Pixels, size: number): Pixels {
  const ratio = size / Math.max(pixels.width, pixels.height)
  if (ratio >= 1) return pixels
  const side = (length: number): number => Math.max(1, roundHalfToEven(length * ratio))
  return resizePixels(pixels, {
    method: 'squish',
    width: side(pixels.width),
    height: side(pixels.height),
    position: [0.5, 0.5],
  })
}
