import { requireRange } from '../../base/check.ts'
import { OptionError } from '../../base/errors.ts'
import { checkOptions, NUMBER, type Kinds } from '../../base/options.ts'
import type { ItemPredictions } from '../fit/evaluation.ts'
import { predictedClasses, requireClassTargets } from '../fit/metrics.ts'

/** Options of `suggestThreshold`. */
export interface ThresholdOptions {
  /** Fraction of the correctly classified items that must stay known, in (0,1]. Default 0.95 */
  readonly truePositiveRate?: number
}

const KINDS: Kinds<ThresholdOptions> = { truePositiveRate: NUMBER }

/** Threshold below which a model answers "none of these", and its effect on the items that it was found with. */
export interface SuggestedThreshold {
  /** Smallest largest probability with which an image is known. */
  readonly threshold: number
  /** Number of items that are classified correctly. */
  readonly right: number
  /** Number of items that are not. */
  readonly wrong: number
  /** Number of correctly classified items that stay known: at least the rate that was asked for. */
  readonly rightKnown: number
  /** Number of wrongly classified items that stay known. The smaller, the more mistakes the threshold turns away. */
  readonly wrongKnown: number
}

/**
 * Finds the threshold for the answer "none of these" from predictions for labeled items, usually those of the validation
 * set: the largest one that leaves 95% of the correctly classified items known, where an item is known if its largest
 * probability reaches the threshold.
 *
 *   const { threshold } = suggestThreshold(await learner.getPredictions())
 *   await learner.export('pets.safetensors', { threshold })
 *
 * With fewer than 20 correctly classified items that is the smallest of their probabilities.
 *
 * Source: Hendrycks & Gimpel 2017, arXiv:1610.02136 (the maximum softmax probability tells images of other classes, and
 * mistakes); the rate of 95% as in Liang et al. 2018, arXiv:1706.02690, §4.
 *
 * @param results  probabilities and labels, such as those of `learner.getPredictions()`
 * @throws OptionError  if the items have no labels or several each, none is classified correctly, or the rate is out of range
 */
export function suggestThreshold(results: ItemPredictions, options: ThresholdOptions = {}): SuggestedThreshold {
  checkOptions('suggestThreshold', options, KINDS)
  const { truePositiveRate = 0.95 } = options
  requireRange(
    'suggestThreshold',
    { truePositiveRate },
    truePositiveRate > 0 && truePositiveRate <= 1,
    'above 0, at most 1',
  )
  const { predictions, targets } = results
  requireClassTargets(
    'suggestThreshold',
    results,
    'give a threshold yourself: learner.export(path, { threshold: 0.5 })',
  )
  const { rows, columns, data } = predictions
  if (rows === 0 || targets.length !== rows) {
    throw new OptionError('suggestThreshold', 'there are no labels to compare predictions with', {
      given: { predictions: rows, labels: targets.length },
      fix: 'predict items that have labels: suggestThreshold(await learner.getPredictions())',
    })
  }
  const predicted = predictedClasses(predictions)
  const largest = (row: number) => data[row * columns + predicted[row]]
  const all = Array.from(predicted.keys())
  const right = all
    .filter((row) => predicted[row] === targets[row])
    .map(largest)
    .sort((a, b) => a - b)
  const wrong = all.filter((row) => predicted[row] !== targets[row]).map(largest)
  if (right.length === 0) {
    throw new OptionError('suggestThreshold', 'no item is classified correctly, so there is nothing to go by', {
      given: { items: rows },
      fix: 'train the model first, or choose a threshold yourself: { threshold: 0.5 }',
    })
  }
  // Rounding must not turn away one more: 0.95 · 100 is 94.99…
  const mayBeLost = Math.floor(right.length * (1 - truePositiveRate) + 1e-9)
  const threshold = right[mayBeLost]
  const known = (probabilities: readonly number[]) => probabilities.filter((one) => one >= threshold).length
  return {
    threshold,
    right: right.length,
    wrong: wrong.length,
    rightKnown: known(right),
    wrongKnown: known(wrong),
  }
}
