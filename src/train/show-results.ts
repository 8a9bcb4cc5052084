import type { Loader } from '../data/loader.ts'
import { batchPictures, requireCount, writeSheet, type LabelledPicture } from '../data/show.ts'
import type { Learner } from './learner.ts'
import { argmax, outputName } from './metrics.ts'

export interface ShowResultsOptions {
  /** Pictures shown at most, of one batch. Default 9 */
  readonly count?: number
  /** Default: the validation loader */
  readonly loader?: Loader
  /** Chosen at random; otherwise the first. Default true */
  readonly shuffle?: boolean
  /** Makes another random choice. Default 0 */
  readonly epoch?: number
}

/**
 * Writes a contact sheet of what the model makes of pictures it was not trained on: below each the label that it has,
 * and below that the class that was predicted. Transforms do what they do in validation.
 *
 * @param file  the path of a PNG
 * @throws OptionError  when `count` is no number of pictures
 * Source: fastai learner.py, Learner.show_results.
 */
export async function showResults(learner: Learner, file: string, options: ShowResultsOptions = {}): Promise<void> {
  await writeSheet(learner.platform, file, await resultPictures(learner, options))
}

/** The pictures that `showResults` shows. @throws as it does */
export async function resultPictures(learner: Learner, options: ShowResultsOptions = {}): Promise<LabelledPicture[]> {
  const { count = 9, loader = learner.loaders.valid, shuffle = true, epoch = 0 } = options
  requireCount('showResults', count)
  const items = loader.order({ epoch, shuffle }).slice(0, Math.min(count, loader.batchSize))
  const shown = loader.with({ items, split: 'valid' })
  const pictures = await batchPictures(shown, { count })
  // Both leave out what cannot be decoded, so that their rows are the same items. It also frees what `shown` has made.
  const { predictions } = await learner.getPredictions({ loader: shown })
  const predicted = argmax(predictions)
  return pictures.map((picture, row) => ({ ...picture, predicted: outputName(learner.loaders.vocab, predicted[row]) }))
}
