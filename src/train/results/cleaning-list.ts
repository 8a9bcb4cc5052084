import { requireInteger } from '../../base/check.ts'
import { OptionError } from '../../base/errors.ts'
import { groupBy } from '../../base/group-by.ts'
import { ANY, checkOptions, NUMBER, type Kinds } from '../../base/options.ts'
import { makeCleaningList, type CleaningItem, type CleaningList } from '../../data/cleaning.ts'
import { requireOneClass } from '../../data/targets.ts'
import type { ItemPredictions } from '../fit/evaluation.ts'
import { outputName } from '../../data/targets.ts'
import { namedPrediction, predictedClasses } from '../fit/metrics.ts'
import type { FitState } from '../fit/state.ts'

/** Options of `cleaningList`. */
export interface CleaningListOptions {
  /** Most images of each label and split, those with the largest losses. Default: all */
  readonly count?: number
}

/** Options of `cleaningList` for the data set of a learner. */
export interface LearnerCleaningOptions extends CleaningListOptions {
  /** Predictions for the validation set, if they exist already: what `learner.getPredictions()` returned. */
  readonly valid?: ItemPredictions
}

/** Checks of the options of `cleaningList`. */
export const CLEANING_LIST_KINDS: Kinds<CleaningListOptions> = { count: NUMBER }

/** Predictions for labeled images of one split. */
export interface SplitPredictions {
  readonly split: 'train' | 'valid'
  readonly results: ItemPredictions
  /** Paths of the data set, by the number of an item. */
  readonly paths: readonly string[]
}

/**
 * Lists the images of a learner's data set for cleaning, by label, then split, then loss, the largest first: labels that
 * are wrong tend to have large losses. `suggested` is the label that an image probably should have; nothing is done to
 * any until its `action` is set and `applyCleaning` called.
 *
 * A label is suggested by confident learning: of the labels whose probability reaches the mean that images so labeled
 * have, the likeliest, if it is another than the present one.
 *
 * @throws OptionError  if count is out of range, the given predictions are of other images, or during a step
 *   of a fit
 * Source: fastai vision/widgets.py, ImageClassifierCleaner (the order); Northcutt et al. 2021, arXiv:1911.00068,
 * equations 1 and 2 (the suggestion).
 */
export async function cleaningList(learner: FitState, given: LearnerCleaningOptions = {}): Promise<CleaningList> {
  checkOptions('cleaningList', given, { ...CLEANING_LIST_KINDS, valid: ANY })
  const { valid: known, ...options } = given
  const { train, valid, vocab, target } = learner.loaders
  requireOneClass('cleaningList', target)
  if (known !== undefined) requireOfValidation('cleaningList', learner, known)
  const splits: SplitPredictions[] = []
  for (const [split, loader, made] of [['train', train, undefined] as const, ['valid', valid, known] as const]) {
    const results = made ?? (await learner.getPredictions({ loader }))
    splits.push({ split, results, paths: loader.pictures.items })
  }
  return cleaningListOf(vocab, splits, options)
}

/**
 * Requires predictions for images of the validation set, of which those that could not be read may be missing.
 *
 * @throws OptionError  if one is of another image
 */
export function requireOfValidation(
  where: string,
  { loaders: { valid } }: Pick<FitState, 'loaders'>,
  { items }: ItemPredictions,
): void {
  const own = new Set(valid.items)
  if (items.every((item) => own.has(item))) return
  throw new OptionError(where, 'these are not predictions for the validation set of the learner', {
    given: { predictions: items.length, images: valid.items.length },
    fix: 'give what learner.getPredictions() returns, or leave them out',
  })
}

/** Makes the cleaning list of predictions (see `cleaningList`). @throws OptionError  if count is out of range */
export function cleaningListOf(
  vocab: readonly string[],
  splits: readonly SplitPredictions[],
  options: CleaningListOptions = {},
): CleaningList {
  checkOptions('cleaningList', options, CLEANING_LIST_KINDS)
  const { count = Infinity } = options
  if (count !== Infinity) requireInteger('cleaningList', 'count', count, { from: 1 })
  const byLabel = splits.map((split) => groupBy(itemsOf(vocab, split).sort(byLoss), ({ label }) => label))
  return makeCleaningList(
    vocab,
    vocab.flatMap((label) => byLabel.flatMap((items) => (items.get(label) ?? []).slice(0, count))),
  )
}

/** Compares items by their losses, for the largest first; NaN ranks above every loss. */
export function byLoss(a: CleaningItem, b: CleaningItem): number {
  const size = ({ loss }: CleaningItem) => (Number.isNaN(loss) ? Infinity : loss)
  return size(b) - size(a)
}

function itemsOf(vocab: readonly string[], { split, results, paths }: SplitPredictions): CleaningItem[] {
  const { predictions, targets, losses, items } = results
  const { columns, data } = predictions
  const predicted = predictedClasses(predictions)
  const expected = selfConfidence(results, vocab.length)
  return Array.from(items, (item, row) => {
    const probabilities = data.subarray(row * columns, (row + 1) * columns)
    const suggested = confidentLabel(probabilities, expected)
    return {
      path: paths[item],
      split,
      label: outputName(vocab, targets[row]),
      ...namedPrediction(vocab, predictions, row, predicted[row]),
      loss: losses[row],
      ...(suggested === undefined || suggested === targets[row] ? {} : { suggested: vocab[suggested] }),
      action: 'keep' as const,
    }
  })
}

/**
 * Computes for each label the mean probability of it among the images that have it, except those predicted as NaN; NaN where
 * there are none.
 */
function selfConfidence({ predictions, targets }: ItemPredictions, labels: number): Float64Array {
  const sums = new Float64Array(labels)
  const counts = new Float64Array(labels)
  targets.forEach((target, row) => {
    const probability = predictions.data[row * predictions.columns + target]
    if (Number.isNaN(probability)) return
    sums[target] += probability
    counts[target]++
  })
  return sums.map((sum, label) => sum / counts[label])
}

/** Returns the likeliest of the labels whose probability reaches what is expected of it. */
function confidentLabel(probabilities: Float32Array, expected: Float64Array): number | undefined {
  let best: number | undefined
  expected.forEach((least, label) => {
    const probability = probabilities[label]
    if (probability >= least && (best === undefined || probability > probabilities[best])) best = label
  })
  return best
}
