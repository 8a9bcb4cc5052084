import { requireExtension } from '../../base/file-name.ts'
import { checkOptions, FLAG, NUMBER, type Kinds } from '../../base/options.ts'
import type { Loader } from '../../data/loader.ts'
import { batchPictures, requireCount, writeSheet, type LabelledPicture } from '../../data/show.ts'
import type { FitState } from '../fit/state.ts'
import { LOADER } from '../fit/kinds.ts'
import { argmax, outputName } from '../fit/metrics.ts'

export interface ShowResultsOptions {
  /** Pictures shown at most, and never more than one batch. Default 9 */
  readonly count?: number
  /** Default: the validation loader */
  readonly loader?: Loader
  /** Chosen at random; otherwise the first. Default true */
  readonly shuffle?: boolean
  /** Makes another random choice. Default 0 */
  readonly epoch?: number
}

const KINDS: Kinds<ShowResultsOptions> = { count: NUMBER, loader: LOADER, shuffle: FLAG, epoch: NUMBER }

/**
 * Writes a contact sheet of what the model makes of pictures it was not trained on: below each the label that it has,
 * and below that the class that was predicted. Transforms do what they do in validation. They are of one batch, so there
 * are no more of them than the loader's batch size, whatever `count` is.
 *
 * @param file  the path of a PNG, which ends in .png
 * @throws OptionError  when it does not, or `count` is no number of pictures
 * Source: fastai learner.py, Learner.show_results.
 */
export async function showResults(state: FitState, file: string, options: ShowResultsOptions = {}): Promise<void> {
  requireExtension('showResults', file, '.png')
  await writeSheet(state.platform, file, await resultPictures(state, options))
}

/** The pictures that `showResults` shows. @throws OptionError  when `count` is no number of pictures */
export async function resultPictures(state: FitState, options: ShowResultsOptions = {}): Promise<LabelledPicture[]> {
  checkOptions('showResults', options, KINDS)
  const { count = 9, loader = state.loaders.valid, shuffle = true, epoch = 0 } = options
  requireCount('showResults', count)
  const items = loader.order({ epoch, shuffle }).slice(0, Math.min(count, loader.batchSize))
  const shown = loader.with({ items, split: 'valid' })
  const pictures = await batchPictures(shown, { count })
  // Both leave out what cannot be decoded, so that their rows are the same items. It also frees what `shown` has made.
  const { predictions } = await state.getPredictions({ loader: shown })
  const predicted = argmax(predictions)
  return pictures.map((picture, row) => ({ ...picture, predicted: outputName(state.loaders.vocab, predicted[row]) }))
}
