import { requireInteger } from '../base/check.ts'
import { checkOptions, FLAG, NUMBER, TEXT } from '../base/options.ts'
import type { Pixels } from '../image/pixels.ts'
import { release, scope } from '../tensor/scope.ts'
import type { Shape } from '../tensor/shape.ts'
import { read } from '../tensor/read-write.ts'
import type { Phase } from './augment/draw.ts'
import type { ChannelStats } from './augment/normalize.ts'
import { sheetFormat, writeSheet, type LabeledImage } from './contact-sheet.ts'
import type { Loader, EpochOptions } from './loader.ts'
import { rowOf } from './targets.ts'

/** Options of `showBatch`: which images are shown. */
export interface ShowOptions {
  /** Images shown at most. Default 9 */
  readonly count?: number
  /** Chooses the batch. Default 0 */
  readonly epoch?: number
  /** How the transforms draw. Default: as the loader's split says */
  readonly draws?: Phase
  /** The first image again and again, with other random transforms each time. Default false */
  readonly unique?: boolean
}

/**
 * Writes a contact sheet of what the network sees: images of a first batch after all transforms, with the
 * normalization undone, each above its label, where it has one, in any script and at full length (see contact-sheet.ts).
 *
 * @param loader  `loaders.train` or `loaders.valid`
 * @param file    path of a PNG, SVG or HTML file, which ends in .png, .svg or .html; labels are text in the latter two. Without
 *   one nothing is written
 * @returns       without a path the bytes of a PNG
 * @throws OptionError  if the path has another suffix, or `count` is not a positive integer
 * Source: fastai data/core.py, TfmdDL.show_batch.
 */
export function showBatch(loader: Loader, file: string, options?: ShowOptions): Promise<void>
export function showBatch(loader: Loader, file?: undefined, options?: ShowOptions): Promise<Uint8Array>
export async function showBatch(loader: Loader, file?: string, options: ShowOptions = {}): Promise<Uint8Array | void> {
  if (file !== undefined) sheetFormat('showBatch', file)
  return writeSheet(loader.platform, file, await batchImages(loader, options), 'showBatch')
}

/** The images that `showBatch` shows. @throws OptionError  if `count` is not a positive integer */
export async function batchImages(loader: Loader, options: ShowOptions = {}): Promise<LabeledImage[]> {
  checkOptions('showBatch', options, { count: NUMBER, epoch: NUMBER, draws: TEXT, unique: FLAG })
  const { count = 9, unique = false, ...pass } = options
  requireCount('showBatch', count)
  if (!unique) return firstImages(loader, count, pass)
  const drawn: LabeledImage[] = []
  for (let n = 0; n < count; n++) drawn.push(...(await firstImages(loader, 1, { ...pass, pass: n })))
  return drawn
}

/** @throws OptionError  if `count` is not a positive integer */
export function requireCount(where: string, count: number): void {
  requireInteger(where, 'count', count, { from: 1 })
}

async function firstImages(loader: Loader, count: number, pass: EpochOptions): Promise<LabeledImage[]> {
  const { target } = loader
  const batch = await loader.oneBatch(pass)
  const input = scope(() => batch.input('f32'))
  const values = await read(input)
  release(input)
  batch.release()
  return inputImages(values, input.shape, loader.stats)
    .slice(0, Math.min(count, batch.count))
    .map((image, n) => ({ image, label: batch.labels.length > 0 ? target.text(rowOf(batch.labels, target, n)) : '' }))
}

/** The images of a network's input, [N,H,W,3] or [N,H,W,1], normalized with `stats`. See `toImage`. */
export function inputImages(values: Float32Array | Uint32Array, shape: Shape, stats: ChannelStats): Pixels[] {
  const [N, height, width, channels] = shape
  const each = height * width * channels
  return Array.from({ length: N }, (_, n) => toImage(values.subarray(n * each, (n + 1) * each), width, height, stats))
}

/**
 * Values of the network's input, [H,W,3] or [H,W,1], as 8-bit RGBA: ⌊255 · min(1, max(0, value · std + mean))⌋.
 *
 * Source: fastai data/transforms.py, Normalize.decodes and IntToFloatTensor.decodes.
 */
export function toImage(values: ArrayLike<number>, width: number, height: number, { mean, std }: ChannelStats): Pixels {
  const channels = values.length / (width * height)
  const data = new Uint8Array(width * height * 4)
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) {
      // A grey image has one channel, which all three are.
      const own = c % channels
      const value = values[i * channels + own] * (std[own] ?? 1) + (mean[own] ?? 0)
      data[i * 4 + c] = Math.trunc(Math.min(1, Math.max(0, value)) * 255)
    }
    data[i * 4 + 3] = 255
  }
  return { width, height, data }
}
