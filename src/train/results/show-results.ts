import { DataError } from '../../base/errors.ts'
import { checkOptions, FLAG, NUMBER, type Kinds } from '../../base/options.ts'
import type { Loader } from '../../data/loader.ts'
import { sheetFormat, writeSheet, type LabeledImage } from '../../data/contact-sheet.ts'
import { batchImages, requireCount } from '../../data/show.ts'
import type { FitState } from '../fit/state.ts'
import { LOADER } from '../fit/kinds.ts'
import { requireLabels } from '../fit/evaluate.ts'
import type { Predictions } from '../fit/metrics.ts'
import { rowsByLoss } from './interpretation.ts'

/** Options of `showResults`. */
export interface ShowResultsOptions {
  /** Largest number of images shown, at most one batch. Default 9 */
  readonly count?: number
  /** Loader of the images. Default: the validation loader */
  readonly loader?: Loader
  /** True to choose images at random, false for the first ones. Default true */
  readonly shuffle?: boolean
  /** Seed of the random choice. Default 0 */
  readonly epoch?: number
}

const KINDS: Kinds<ShowResultsOptions> = { count: NUMBER, loader: LOADER, shuffle: FLAG, epoch: NUMBER }

/**
 * Writes a contact sheet of images with their labels and the predicted classes below, green where both are the same and
 * red otherwise, in any script and at full length (see data/contact-sheet.ts); several labels have `;` between them.
 * Transforms act as in validation. The images come from one batch, so there are at most as many as the loader's batch size.
 *
 * @param file  path of the PNG, SVG or HTML file to write, ending in .png, .svg or .html. Without one nothing is written
 * @returns     without a path the bytes of a PNG
 * @throws OptionError  if the extension is another, or `count` is out of range
 * Source: fastai learner.py, Learner.show_results.
 */
export function showResults(state: FitState, file: string, options?: ShowResultsOptions): Promise<void>
export function showResults(state: FitState, file?: undefined, options?: ShowResultsOptions): Promise<Uint8Array>
export async function showResults(
  state: FitState,
  file?: string,
  options: ShowResultsOptions = {},
): Promise<Uint8Array | void> {
  if (file !== undefined) sheetFormat('showResults', file)
  return writeSheet(state.platform, file, await resultImages(state, options), 'showResults')
}

/** Options of `plotTopLosses`. */
export interface PlotTopLossesOptions {
  /** Largest number of images shown. Default 9 */
  readonly count?: number
  /** Loader of the images, which must have labels. Default: the validation loader */
  readonly loader?: Loader
  /** True for the largest losses, false for the smallest. Default true */
  readonly largest?: boolean
}

const TOP_KINDS: Kinds<PlotTopLossesOptions> = { count: NUMBER, loader: LOADER, largest: FLAG }

/**
 * Writes a contact sheet of the images with the largest losses, the largest first, each above its label, the predicted
 * class, and loss and probability of that (see `showResults`). In an HTML file each names its path when it is pointed at.
 *
 * @param file  path of the PNG, SVG or HTML file to write, ending in .png, .svg or .html. Without one nothing is written
 * @returns     without a path the bytes of a PNG
 * @throws OptionError  if the extension is another, `count` is out of range, or the images have no labels
 * Source: fastai interpret.py, Interpretation.plot_top_losses.
 */
export function plotTopLosses(state: FitState, file: string, options?: PlotTopLossesOptions): Promise<void>
export function plotTopLosses(state: FitState, file?: undefined, options?: PlotTopLossesOptions): Promise<Uint8Array>
export async function plotTopLosses(
  state: FitState,
  file?: string,
  options: PlotTopLossesOptions = {},
): Promise<Uint8Array | void> {
  if (file !== undefined) sheetFormat('plotTopLosses', file)
  return writeSheet(state.platform, file, await topLossImages(state, options), 'plotTopLosses')
}

/** Returns the images that `plotTopLosses` shows. @throws OptionError  as `plotTopLosses`, except for the extension */
export async function topLossImages(state: FitState, options: PlotTopLossesOptions = {}): Promise<LabeledImage[]> {
  checkOptions('plotTopLosses', options, TOP_KINDS)
  const { count = 9, loader = state.loaders.valid, largest = true } = options
  requireCount('plotTopLosses', count)
  const { predictions, losses, items } = await state.getPredictions({ loader })
  if (losses.length === 0) requireLabels('plotTopLosses', loader)
  const top = rowsByLoss(losses, largest).slice(0, count)
  // One batch holds them all, in their order.
  const shown = loader.with({
    items: Uint32Array.from(top, (row) => items[row]),
    split: 'valid',
    batchSize: top.length,
  })
  const images = await batchImages(shown, { count: top.length })
  requireAll('plotTopLosses', images, top.length)
  return images.map((image, i) => {
    const outputs = rowOfPredictions(predictions, top[i])
    const loss = losses[top[i]].toFixed(2)
    const isClass = loader.target.columns === 'class'
    const share = isClass ? ` / ${(100 * outputs[loader.target.decode(outputs, 0)[0]]).toFixed(1)}%` : ''
    return { ...withPrediction(state, image, outputs, loss + share), path: loader.pictures.items[items[top[i]]] }
  })
}

/** Returns the images that `showResults` shows. @throws OptionError  if `count` is out of range */
export async function resultImages(state: FitState, options: ShowResultsOptions = {}): Promise<LabeledImage[]> {
  checkOptions('showResults', options, KINDS)
  const { count = 9, loader = state.loaders.valid, shuffle = true, epoch = 0 } = options
  requireCount('showResults', count)
  const items = loader.order({ epoch, shuffle }).slice(0, Math.min(count, loader.batchSize))
  const shown = loader.with({ items, split: 'valid' })
  const images = await batchImages(shown, { count })
  // Both calls skip undecodable files, so their rows are the same items. `getPredictions` also frees the tensors of
  // `shown`.
  const { predictions } = await state.getPredictions({ loader: shown })
  requireAll('showResults', images, predictions.rows)
  return images.map((image, row) => withPrediction(state, image, rowOfPredictions(predictions, row)))
}

/** @throws DataError  if there are not as many images as predictions: those of a file that is missing would be another's */
function requireAll(where: string, images: readonly LabeledImage[], predictions: number): void {
  if (images.length === predictions) return
  throw new DataError(where, 'a file could not be read the second time, or only then', {
    given: { images: images.length, predictions },
    fix: 'try again, once the disk or the network that it is on is there',
  })
}

function rowOfPredictions({ columns, data }: Predictions, row: number): Float32Array {
  return data.subarray(row * columns, (row + 1) * columns)
}

/** Adds what is predicted for an image: below its label, or, for numbers, which are never quite right, on a line of its own. */
function withPrediction(
  { loaders: { target }, loss }: FitState,
  image: LabeledImage,
  outputs: Float32Array,
  note?: string,
): LabeledImage {
  const isDecided = !outputs.some(Number.isNaN)
  const predicted = isDecided ? target.text(target.decode(outputs, loss.threshold ?? 0.5)) : 'not a number'
  const isNumber = target.columns !== 'class' && target.vocab.length === 0
  const lines = [...(isNumber ? [`predicted ${predicted}`] : []), ...(note === undefined ? [] : [note])]
  return {
    ...image,
    ...(isNumber ? {} : { predicted }),
    ...(lines.length > 0 ? { note: lines.join(', ') } : {}),
  }
}
