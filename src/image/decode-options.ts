import { checkOptions, oneOfTexts } from '../base/options.ts'

/** Ways in which an image file becomes pixels, the same for all files of a data set. */
export interface DecodeOptions {
  /**
   * 'apply' turns and mirrors an image as the orientation in its metadata says (Exif tag 274), as every viewer does.
   * 'ignore' keeps the pixels as they are stored, as fastai does. Default 'apply'
   */
  readonly orientation?: 'apply' | 'ignore'
  /**
   * Decoder of JPEG and PNG files. 'turbo' is libjpeg-turbo in WebAssembly (@cwasm/jpeg-turbo; in a page the browser's own
   * decoder) for JPEG files, with the pixels of Pillow and fastai to the bit, and pngjs. 'built-in' is jpeg-js and pngjs (in a
   * page jpeg-js and the browser's PNG decoder): its pixels of a JPEG differ by a few levels, and it takes five times as
   * long. 'sharp' is the optional package sharp for both formats, with the pixels of 'turbo'. A JPEG that 'turbo' refuses is
   * decoded by jpeg-js. Other formats are always decoded by sharp or the browser. Default 'turbo'
   */
  readonly decoder?: 'built-in' | 'turbo' | 'sharp'
  /**
   * 'fast' lets sharp decode an image at a fraction of its size where that still has at least as many pixels as are
   * needed, as Pillow's draft mode does: several times as fast for photographs, other pixels, and a crop that may lie up to
   * one pixel of the result aside. The built-in decoders always decode the whole image, as fastai does. Default 'exact'
   */
  readonly shrink?: 'exact' | 'fast'
  /**
   * Channels of an image as a network sees it: 3 for red, green and blue, 1 for grey, which is the luma of the color (fastai's
   * PILImageBW). Default 3
   */
  readonly channels?: 1 | 3
}

/** Decode options, all of them given; `channels` stands there only where it is 1, as files of before had no such choice. */
export type Decoding = Readonly<Required<Omit<DecodeOptions, 'channels'>>> & { readonly channels?: 1 }

/** Channels of the images that a decoding makes. */
export function channelsOf(decoding?: Pick<Decoding, 'channels'>): 1 | 3 {
  return decoding?.channels ?? 3
}

export const DEFAULT_DECODING: Decoding = { orientation: 'apply', decoder: 'turbo', shrink: 'exact' }

/** Decoding without a decoder of the platform. */
export const BUILT_IN_DECODING: Decoding = { ...DEFAULT_DECODING, decoder: 'built-in' }

/** Decoding of models and checkpoints that were written before there was a choice. */
export const FORMER_DECODING: Decoding = { ...BUILT_IN_DECODING, orientation: 'ignore' }

/** Options completed by the defaults. @throws OptionError  for an option or a value that does not exist */
export function toDecoding(where: string, options: DecodeOptions): Decoding {
  checkOptions(where, options, {
    orientation: oneOfTexts('apply', 'ignore'),
    decoder: oneOfTexts('built-in', 'turbo', 'sharp'),
    shrink: oneOfTexts('exact', 'fast'),
    channels: { expected: '1 or 3', is: (value) => value === 1 || value === 3 },
  })
  const { orientation, decoder, shrink } = DEFAULT_DECODING
  return {
    orientation: options.orientation ?? orientation,
    decoder: options.decoder ?? decoder,
    shrink: options.shrink ?? shrink,
    ...(options.channels === 1 && { channels: 1 }),
  }
}

/** Decoding as a short text that is empty for the default, to tell cached images apart. */
export function decodingKey(decoding: Decoding): string {
  return Object.entries(decoding)
    .filter(([name, value]) => DEFAULT_DECODING[name as keyof Decoding] !== value)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}
