import { requireInteger } from '../base/check.ts'
import { requireExtension } from '../base/file-name.ts'
import { checkOptions, FLAG, NUMBER, TEXT } from '../base/options.ts'
import type { Platform } from '../platform/platform.ts'
import type { Pixels } from '../image/pixels.ts'
import { release, scope } from '../tensor/scope.ts'
import type { Shape } from '../tensor/shape.ts'
import { read } from '../tensor/read-write.ts'
import type { Phase } from './augment/draw.ts'
import type { ChannelStats } from './augment/normalize.ts'
import type { Loader, EpochOptions } from './loader.ts'

export interface ShowOptions {
  /** Pictures shown at most. Default 9 */
  readonly count?: number
  /** Chooses the batch. Default 0 */
  readonly epoch?: number
  /** How the transforms draw. Default: as the loader's split says */
  readonly draws?: Phase
  /** The first image again and again, with other random transforms each time. Default false */
  readonly unique?: boolean
}

/** An image as the network sees it, and what it shows. */
export interface LabeledImage {
  readonly image: Pixels
  readonly label: string
  /** Label that a model predicts for the image, if one was asked. */
  readonly predicted?: string
}

/**
 * Writes a contact sheet of what the network sees: images of a first batch after all transforms, with the
 * normalization undone, each above its label, where it has one.
 *
 * @param loader  `loaders.train` or `loaders.valid`
 * @param file    the path of a PNG, which ends in .png
 * @throws OptionError  when it does not, or `count` is no number of images
 * Source: fastai data/core.py, TfmdDL.show_batch.
 */
export async function showBatch(loader: Loader, file: string, options: ShowOptions = {}): Promise<void> {
  requireExtension('showBatch', file, '.png')
  await writeSheet(loader.platform, file, await batchImages(loader, options))
}

/** The images that `showBatch` shows. @throws OptionError  when `count` is no number of images */
export async function batchImages(loader: Loader, options: ShowOptions = {}): Promise<LabeledImage[]> {
  checkOptions('showBatch', options, { count: NUMBER, epoch: NUMBER, draws: TEXT, unique: FLAG })
  const { count = 9, unique = false, ...pass } = options
  requireCount('showBatch', count)
  if (!unique) return firstImages(loader, count, pass)
  const drawn: LabeledImage[] = []
  for (let n = 0; n < count; n++) drawn.push(...(await firstImages(loader, 1, { ...pass, pass: n })))
  return drawn
}

/** @throws OptionError  when `count` is no number of images */
export function requireCount(where: string, count: number): void {
  requireInteger(where, 'count', count, { from: 1 })
}

/** Writes a contact sheet as a PNG. */
export async function writeSheet(
  { files, encodePng }: Platform,
  file: string,
  tiles: readonly LabeledImage[],
): Promise<void> {
  await files.write(file, await encodePng(contactSheet(tiles)))
}

async function firstImages(loader: Loader, count: number, pass: EpochOptions): Promise<LabeledImage[]> {
  const batch = await loader.oneBatch(pass)
  const input = scope(() => batch.input('f32'))
  const values = await read(input)
  release(input)
  batch.release()
  return inputImages(values, input.shape, loader.stats)
    .slice(0, Math.min(count, batch.count))
    .map((image, n) => ({ image, label: loader.vocab[batch.labels[n]] ?? '' }))
}

/** The images of a network's input, [N,H,W,3], normalized with `stats`. See `toImage`. */
export function inputImages(values: Float32Array | Uint32Array, shape: Shape, stats: ChannelStats): Pixels[] {
  const [N, height, width] = shape
  const each = height * width * 3
  return Array.from({ length: N }, (_, n) => toImage(values.subarray(n * each, (n + 1) * each), width, height, stats))
}

/**
 * Values of the network's input, [H,W,3], as 8-bit RGBA: ⌊255 · min(1, max(0, value · std + mean))⌋.
 *
 * Source: fastai data/transforms.py, Normalize.decodes and IntToFloatTensor.decodes.
 */
export function toImage(values: ArrayLike<number>, width: number, height: number, { mean, std }: ChannelStats): Pixels {
  const data = new Uint8Array(width * height * 4)
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) {
      const value = values[i * 3 + c] * std[c] + mean[c]
      data[i * 4 + c] = Math.trunc(Math.min(1, Math.max(0, value)) * 255)
    }
    data[i * 4 + 3] = 255
  }
  return { width, height, data }
}

/** Pixels of the sheet for one of a letter. */
const LETTER_SCALE = 2
const GAP = 4
/** A line of a caption: five rows of a letter, and a row of the sheet's ground above. One more row is below the last. */
const LINE = 6 * LETTER_SCALE

/**
 * Pictures of one size in a square grid on black. Below each is its label, and below that what it was taken for, if that
 * is known of any: in capitals, cut where the image ends.
 */
export function contactSheet(tiles: readonly LabeledImage[]): Pixels {
  const columns = Math.ceil(Math.sqrt(tiles.length))
  const rows = Math.ceil(tiles.length / columns)
  const lines = tiles.some(({ predicted }) => predicted !== undefined) ? 2 : 1
  const [
    {
      image: { width: w, height: h },
    },
  ] = tiles
  const tileHeight = h + lines * LINE + LETTER_SCALE
  const width = GAP + columns * (w + GAP)
  const height = GAP + rows * (tileHeight + GAP)
  const data = new Uint8Array(width * height * 4)
  for (let i = 3; i < data.length; i += 4) data[i] = 255
  tiles.forEach(({ image, label, predicted = '' }, i) => {
    const left = GAP + (i % columns) * (w + GAP)
    const top = GAP + Math.floor(i / columns) * (tileHeight + GAP)
    for (let y = 0; y < h; y++) {
      data.set(image.data.subarray(y * w * 4, (y + 1) * w * 4), ((top + y) * width + left) * 4)
    }
    for (const [line, text] of [label, predicted].entries()) {
      write(data, width, left, top + h + line * LINE + LETTER_SCALE, text.slice(0, Math.floor(w / (4 * LETTER_SCALE))))
    }
  })
  return { width, height, data }
}

function write(data: Uint8Array, width: number, left: number, top: number, text: string): void {
  Array.from(text.toUpperCase()).forEach((letter, i) => {
    const rows = LETTERS[letter] ?? LETTERS['?']
    for (let y = 0; y < 5 * LETTER_SCALE; y++) {
      for (let x = 0; x < 3 * LETTER_SCALE; x++) {
        const lit = (Number(rows[Math.floor(y / LETTER_SCALE)]) >> (2 - Math.floor(x / LETTER_SCALE))) & 1
        const at = ((top + y) * width + left + 4 * LETTER_SCALE * i + x) * 4
        if (lit) data.fill(255, at, at + 4)
      }
    }
  })
}

/** Letters of 3 × 5 dots: a digit a row, its bits the dots from left to right. */
const LETTERS: Readonly<Record<string, string>> = {
  '0': '75557',
  '1': '26227',
  '2': '71747',
  '3': '71717',
  '4': '55711',
  '5': '74717',
  '6': '74757',
  '7': '71111',
  '8': '75757',
  '9': '75717',
  A: '25755',
  B: '65656',
  C: '34443',
  D: '65556',
  E: '74647',
  F: '74644',
  G: '34553',
  H: '55755',
  I: '72227',
  J: '11152',
  K: '55655',
  L: '44447',
  M: '57755',
  N: '65555',
  O: '25552',
  P: '65644',
  Q: '25563',
  R: '65655',
  S: '34216',
  T: '72222',
  U: '55557',
  V: '55522',
  W: '55775',
  X: '55255',
  Y: '55222',
  Z: '71247',
  ' ': '00000',
  '-': '00700',
  _: '00007',
  '.': '00002',
  ',': '00024',
  ':': '02020',
  '/': '11244',
  '?': '71202',
}
