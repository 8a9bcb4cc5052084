/** Metrics of targets that are rows of numbers: several labels per image, and values. */
import { requireNumber } from '../../base/check.ts'
import { ShapeError } from '../../base/errors.ts'
import { checkOptions, FLAG, NUMBER, oneOfTexts, type Kinds } from '../../base/options.ts'
import { metric, type Metric, type Predictions } from './metrics.ts'
import { fScore, part, precisionScore, recallScore, type Counts, type Score } from './scores.ts'

/**
 * Averages that make one score of those of several labels per image:
 *
 *   'macro'     mean of the scores of the labels
 *   'weighted'  their mean, weighted by the number of images with each label
 *   'micro'     score of all decisions together
 *   'samples'   mean of the scores of the images
 */
export type MultiAverage = 'macro' | 'weighted' | 'micro' | 'samples'

/** Options of `accuracyMulti`. */
export interface MultiOptions {
  /** Probability above which a label is predicted, in [0,1]. Default 0.5 */
  readonly threshold?: number
  /**
   * Turn predictions into probabilities first, as in a fit, where metrics receive the outputs of the model; false for
   * probabilities, such as those of `learner.getPredictions()`. Default true
   */
  readonly sigmoid?: boolean
}

/** Options of `precisionMulti`, `recallMulti` and `f1ScoreMulti`. */
export interface MultiAverageOptions extends MultiOptions {
  /** Default 'macro' */
  readonly average?: MultiAverage
}

/** Options of `fBetaMulti`. */
export interface MultiFBetaOptions extends MultiAverageOptions {
  /** Weight of recall relative to precision, above 0. Default 1 */
  readonly beta?: number
}

const AVERAGE = oneOfTexts('macro', 'weighted', 'micro', 'samples')
const KINDS: Kinds<MultiOptions> = { threshold: NUMBER, sigmoid: FLAG }
const AVERAGE_KINDS: Kinds<MultiAverageOptions> = { ...KINDS, average: AVERAGE }

/**
 * Makes the metric that computes the fraction of all decisions, one per image and label, that are right. Where few labels are
 * there it is high even if none is ever predicted: see `f1ScoreMulti`. A prediction of NaN is never right.
 *
 * @throws OptionError  if the threshold is out of range
 * Source: fastai metrics.py, accuracy_multi.
 */
export function accuracyMulti(options: MultiOptions = {}): Metric {
  checkOptions('accuracyMulti', options, KINDS)
  const decide = decider('accuracyMulti', options)
  return metric('accuracy_multi', (predictions, targets) => {
    requireRows('accuracyMulti', predictions, targets)
    const { data } = predictions
    let right = 0
    for (let i = 0; i < data.length; i++) {
      if (!Number.isNaN(data[i]) && decide(data[i]) === targets[i] > 0.5) right++
    }
    return right / data.length
  })
}

/**
 * Makes the metric of precision of several labels per image: of the predictions of a label, the fraction that is right.
 *
 * A score whose denominator is 0 is 0: the precision of a label that is never predicted, the recall of one that no image has,
 * both of an image without either. A NaN predicts nothing. The same holds for `recallMulti`, `fBetaMulti` and `f1ScoreMulti`.
 *
 * @throws OptionError  if an option is unknown or out of range
 * Source: scikit-learn metrics/_classification.py, precision_score of indicators; fastai metrics.py, PrecisionMulti.
 */
export function precisionMulti(options: MultiAverageOptions = {}): Metric {
  checkOptions('precisionMulti', options, AVERAGE_KINDS)
  return averaged('precision_multi', options, precisionScore)
}

/**
 * Makes the metric of recall of several labels per image: of the images with a label, the fraction it is predicted for.
 * Options and edge cases are those of `precisionMulti`. Source: scikit-learn, recall_score; fastai metrics.py, RecallMulti.
 */
export function recallMulti(options: MultiAverageOptions = {}): Metric {
  checkOptions('recallMulti', options, AVERAGE_KINDS)
  return averaged('recall_multi', options, recallScore)
}

/**
 * Makes the metric F-beta of several labels per image, the weighted harmonic mean of precision and recall.
 *
 * @throws OptionError  if beta is not above 0, and as precisionMulti
 * Source: scikit-learn, fbeta_score; fastai metrics.py, FBetaMulti.
 */
export function fBetaMulti(options: MultiFBetaOptions = {}): Metric {
  checkOptions<MultiFBetaOptions>('fBetaMulti', options, { ...AVERAGE_KINDS, beta: NUMBER })
  const { beta = 1, ...others } = options
  requireNumber('fBetaMulti', 'beta', beta, { above: 0 })
  return averaged(`f${beta}_multi`, others, fScore(beta))
}

/** Makes the metric F1 of several labels per image, which is `fBetaMulti` with beta 1. Source: fastai metrics.py, F1ScoreMulti. */
export function f1ScoreMulti(options: MultiAverageOptions = {}): Metric {
  checkOptions('f1ScoreMulti', options, AVERAGE_KINDS)
  return averaged('f1_multi', options, fScore(1))
}

/** Computes the mean squared error of predicted numbers. Source: fastai metrics.py, mse; scikit-learn, mean_squared_error. */
export const mse: Metric = metric('mse', (predictions, targets) =>
  meanOf('mse', predictions, targets, (difference) => difference ** 2),
)

/** Computes the root of the mean squared error of predicted numbers. Source: fastai metrics.py, rmse. */
export const rmse: Metric = metric('rmse', (predictions, targets) =>
  Math.sqrt(meanOf('rmse', predictions, targets, (difference) => difference ** 2)),
)

/** Computes the mean absolute error of predicted numbers. Source: fastai metrics.py, mae; scikit-learn, mean_absolute_error. */
export const mae: Metric = metric('mae', (predictions, targets) => meanOf('mae', predictions, targets, Math.abs))

/**
 * Computes the coefficient of determination R² of predicted numbers, the mean over the columns of
 *
 *   1 − Σ (target − predicted)² / Σ (target − mean of targets)²
 *
 * It is 1 if all is right and 0 for predicting the mean; where all targets of a column are equal, 1 if all is right and
 * otherwise 0; NaN with fewer than two images. (fastai takes the numbers of all columns as one column.)
 *
 * Source: scikit-learn metrics/_regression.py, r2_score; fastai metrics.py, R2Score.
 */
export const r2Score: Metric = metric('r2_score', (predictions, targets) => {
  requireRows('r2Score', predictions, targets)
  const { rows, columns, data } = predictions
  if (rows < 2) return NaN
  const scores = Array.from({ length: columns }, (_, column) => {
    const at = (values: ArrayLike<number>, row: number) => values[row * columns + column]
    let [sum, rest, spread] = [0, 0, 0]
    for (let row = 0; row < rows; row++) sum += at(targets, row)
    for (let row = 0; row < rows; row++) {
      rest += (at(targets, row) - at(data, row)) ** 2
      spread += (at(targets, row) - sum / rows) ** 2
    }
    return spread === 0 ? Number(rest === 0) : 1 - rest / spread
  })
  return scores.reduce((total, score) => total + score, 0) / columns
})

/** Counts while they grow. */
type Tally = { -readonly [Name in keyof Counts]: number }

/** Returns whether a prediction is above the threshold. */
function decider(where: string, { threshold = 0.5, sigmoid = true }: MultiOptions): (value: number) => boolean {
  requireNumber(where, 'threshold', threshold, { from: 0, to: 1 })
  return sigmoid ? (value) => 1 / (1 + Math.exp(-value)) > threshold : (value) => value > threshold
}

function averaged(name: string, { average, ...options }: MultiAverageOptions, score: Score): Metric {
  const decide = decider(name, options)
  return metric(average === undefined ? name : `${name}_${average}`, (predictions, targets) => {
    requireRows(name, predictions, targets)
    const { rows, columns, data } = predictions
    const none = (): Tally => ({ right: 0, predicted: 0, support: 0 })
    const [ofLabels, ofImages] = [columns, rows].map((length) => Array.from({ length }, none))
    const all = none()
    for (let i = 0; i < data.length; i++) {
      const [isPredicted, holds] = [decide(data[i]), targets[i] > 0.5]
      for (const counts of [ofLabels[i % columns], ofImages[Math.floor(i / columns)], all]) {
        counts.predicted += Number(isPredicted)
        counts.support += Number(holds)
        counts.right += Number(isPredicted && holds)
      }
    }
    if (average === 'micro') return score(all)
    const each = average === 'samples' ? ofImages : ofLabels
    const weight = (counts: Counts) => (average === 'weighted' ? counts.support : 1)
    const total = (of: (counts: Counts) => number) => each.reduce((sum, counts) => sum + of(counts), 0)
    return part(
      total((counts) => score(counts) * weight(counts)),
      total(weight),
    )
  })
}

function meanOf(
  where: string,
  predictions: Predictions,
  targets: ArrayLike<number>,
  of: (difference: number) => number,
): number {
  requireRows(where, predictions, targets)
  const { data } = predictions
  let sum = 0
  for (let i = 0; i < data.length; i++) sum += of(data[i] - targets[i])
  return sum / data.length
}

/** @throws ShapeError  unless there is one target per prediction */
function requireRows(where: string, { rows, columns, data }: Predictions, targets: ArrayLike<number>): void {
  if (targets.length === data.length) return
  throw new ShapeError(`metric ${where}`, 'targets and predictions differ in number', {
    given: { predictions: `${rows} × ${columns}`, targets: targets.length },
    expected: `${rows} × ${columns} targets`,
    fix:
      targets.length === rows ? 'of one class per image the metrics are accuracy, f1Score() and the like' : undefined,
  })
}
