import { requireInteger, requireNumber } from '../../base/check.ts'
import { OptionError } from '../../base/errors.ts'
import { groupBy } from '../../base/group-by.ts'
import { checkOptions, FLAG, NUMBER, oneOfTexts } from '../../base/options.ts'
import { metric, predictedClasses, requireOneTarget, type Metric, type Predictions } from './metrics.ts'
import { fScore, part, precisionScore, recallScore, type Counts, type Score } from './scores.ts'

/**
 * How the scores of classes become one:
 *
 *   'binary'    that of one class, `positive`; there must be no others than two
 *   'macro'     their mean
 *   'weighted'  their mean, weighted by the number of items of each class
 *   'micro'     the score of all decisions together
 */
export type Average = 'binary' | 'macro' | 'weighted' | 'micro'

/** Options of `precision`, `recall` and `f1Score`. */
export interface AverageOptions {
  /** Default: 'binary' for a model of two outputs and with `positive`, otherwise 'macro' */
  readonly average?: Average
  /** Number of the class that 'binary' rates; no other average has one. Default 1 */
  readonly positive?: number
}

/** Options of `fBeta`. */
export interface FBetaOptions extends AverageOptions {
  /** Weight of recall relative to precision, above 0. Default 1 */
  readonly beta?: number
}

/** Options of `balancedAccuracy`. */
export interface BalancedAccuracyOptions {
  /** Rescale, so that guessing is 0 and everything right stays 1. Default false */
  readonly adjusted?: boolean
}

/** Options of `rocAuc`. */
export interface RocAucOptions {
  /** How the areas of classes become one; for two outputs there is only one. Default 'macro' */
  readonly average?: 'macro' | 'weighted' | 'micro'
  /** 'ovr': each class against all others. 'ovo': each against each, without 'micro'. Default 'ovr' */
  readonly multiClass?: 'ovr' | 'ovo'
}

/** Options of `cohenKappa`. */
export interface KappaOptions {
  /** Weight of a disagreement by the distance of the two classes. Default: all weigh the same */
  readonly weights?: 'linear' | 'quadratic'
}

const AVERAGE_KINDS = { average: oneOfTexts('binary', 'macro', 'weighted', 'micro'), positive: NUMBER }

/**
 * Makes the metric of precision: of the items predicted as a class, the fraction that is of it.
 *
 * A class that is never predicted has precision 0, one without items has recall 0; classes that are neither predicted nor
 * have items are left out of means. A row with a NaN is predicted as no class, so it is never right. The same holds for
 * `recall`, `fBeta` and `f1Score`.
 *
 * @throws OptionError  if an option is unknown or out of range; after an epoch, if 'binary' meets more than two classes
 * Source: scikit-learn metrics/_classification.py, precision_score; fastai metrics.py, Precision.
 */
export function precision(options: AverageOptions = {}): Metric {
  checkOptions('precision', options, AVERAGE_KINDS)
  return averaged('precision', options, precisionScore)
}

/**
 * Makes the metric of recall: of the items of a class, the fraction that is predicted as it. Options and edge cases are those
 * of `precision`. Source: scikit-learn metrics/_classification.py, recall_score; fastai metrics.py, Recall.
 */
export function recall(options: AverageOptions = {}): Metric {
  checkOptions('recall', options, AVERAGE_KINDS)
  return averaged('recall', options, recallScore)
}

/**
 * Makes the metric F-beta, the weighted harmonic mean of precision and recall:
 *
 *   (1 + beta²)·precision·recall / (beta²·precision + recall)
 *
 * @throws OptionError  if beta is not above 0, and as precision
 * Source: scikit-learn metrics/_classification.py, fbeta_score; fastai metrics.py, FBeta.
 */
export function fBeta(options: FBetaOptions = {}): Metric {
  checkOptions<FBetaOptions>('fBeta', options, { ...AVERAGE_KINDS, beta: NUMBER })
  const { beta = 1, ...others } = options
  requireNumber('fBeta', 'beta', beta, { above: 0 })
  return averaged(`f${beta}`, others, fScore(beta))
}

/** Makes the metric F1, which is `fBeta` with beta 1. Source: scikit-learn, f1_score; fastai metrics.py, F1Score. */
export function f1Score(options: AverageOptions = {}): Metric {
  checkOptions('f1Score', options, AVERAGE_KINDS)
  return averaged('f1', options, fScore(1))
}

/**
 * Makes the metric of balanced accuracy: the mean of the recalls of the classes that have items.
 *
 * Source: scikit-learn metrics/_classification.py, balanced_accuracy_score; fastai metrics.py, BalancedAccuracy.
 */
export function balancedAccuracy(options: BalancedAccuracyOptions = {}): Metric {
  checkOptions('balancedAccuracy', options, { adjusted: FLAG })
  const { adjusted = false } = options
  return metric(adjusted ? 'adjusted_balanced_accuracy' : 'balanced_accuracy', (predictions, targets) => {
    const present = countsOf(predictions, targets).filter(({ support }) => support > 0)
    const mean = sumOf(present, ({ right, support }) => right / support) / present.length
    const chance = 1 / present.length
    return adjusted ? (mean - chance) / (1 - chance) : mean
  })
}

/**
 * Makes the metric of the area under the ROC curve: how probable it is that an item of a class gets a higher probability of it
 * than an item of another, equal ones counting half.
 *
 * Outputs of a model become probabilities by softmax; rows that are probabilities already are taken as they are. For two
 * outputs it is the area of class 1. NaN where it is not defined: with items of one class only, or a NaN among the predictions.
 * Classes without items are left out of means (scikit-learn refuses them).
 *
 * @throws OptionError  if an option is unknown, or 'micro' is asked of 'ovo'
 * Source: scikit-learn metrics/_ranking.py, roc_auc_score; fastai metrics.py, RocAuc and RocAucBinary; Hand & Till 2001 (ovo).
 */
export function rocAuc(options: RocAucOptions = {}): Metric {
  checkOptions('rocAuc', options, {
    average: oneOfTexts('macro', 'weighted', 'micro'),
    multiClass: oneOfTexts('ovr', 'ovo'),
  })
  const { average = 'macro', multiClass = 'ovr' } = options
  if (multiClass === 'ovo' && average === 'micro') {
    throw new OptionError('rocAuc', "there is no 'micro' average of pairs of classes", {
      given: { average, multiClass },
      expected: "'macro' or 'weighted' with 'ovo'",
    })
  }
  return metric('roc_auc', (predictions, targets) => {
    requireOneTarget(predictions, targets)
    const scores = probabilitiesOf(predictions)
    if (scores.some(Number.isNaN)) return NaN
    const { rows, columns } = predictions
    const areaOfClass = (label: number) =>
      areaOf(
        rows,
        (row) => targets[row] === label,
        (row) => scores[row * columns + label],
      )
    if (columns === 2) return areaOfClass(1)
    const rowsOf = groupBy(Array.from({ length: rows }).keys(), (row) => targets[row])
    const present = [...rowsOf.keys()].filter((label) => label < columns).sort((a, b) => a - b)
    if (present.length < 2) return NaN
    if (multiClass === 'ovo') return pairs(rowsOf, present, (row, label) => scores[row * columns + label], average)
    if (average === 'micro') {
      // Every probability is a decision of its own.
      return areaOf(
        rows * columns,
        (i) => targets[Math.floor(i / columns)] === i % columns,
        (i) => scores[i],
      )
    }
    return meanOf(present, average, (label) => ({
      score: areaOfClass(label),
      weight: rowsOf.get(label)?.length ?? 0,
    }))
  })
}

/**
 * Makes the metric Cohen's kappa: by how much predictions agree with labels more often than by chance; 1 is full agreement, 0
 * chance, NaN with a single class. A prediction of NaN is a class of its own, after all others.
 *
 * Source: scikit-learn metrics/_classification.py, cohen_kappa_score; fastai metrics.py, CohenKappa.
 */
export function cohenKappa(options: KappaOptions = {}): Metric {
  checkOptions('cohenKappa', options, { weights: oneOfTexts('linear', 'quadratic') })
  const { weights } = options
  return metric(weights ? `kappa_${weights}` : 'kappa', (predictions, targets) => {
    const { places, actual, predicted } = marginsOf(predictions, targets)
    const distance = (i: number, j: number) =>
      weights === undefined ? Number(i !== j) : Math.abs(i - j) ** (weights === 'linear' ? 1 : 2)
    const observed = sumOf(places, ([i, j]) => distance(i, j))
    let expected = 0
    for (const i of actual.keys()) {
      for (const j of actual.keys()) expected += (distance(i, j) * actual[i] * predicted[j]) / places.length
    }
    return 1 - observed / expected
  })
}

/**
 * Makes the metric of Matthews's correlation coefficient, of any number of classes: 1 is full agreement, 0 chance, and 0 if
 * labels or predictions are all one class.
 *
 * Source: scikit-learn metrics/_classification.py, matthews_corrcoef; fastai metrics.py, MatthewsCorrCoef; Gorodkin 2004.
 */
export function matthewsCorrelation(): Metric {
  return metric('mcc', (predictions, targets) => {
    const { places, actual, predicted } = marginsOf(predictions, targets)
    const total = places.length
    const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i], 0)
    const right = sumOf(places, ([i, j]) => Number(i === j))
    const spread = (total ** 2 - dot(predicted, predicted)) * (total ** 2 - dot(actual, actual))
    return spread === 0 ? 0 : (right * total - dot(actual, predicted)) / Math.sqrt(spread)
  })
}

/** Numbers of items of one class. */
interface ClassCounts extends Counts {
  readonly label: number
}

function averaged(name: string, options: AverageOptions, score: Score): Metric {
  const { average, positive = 1 } = options
  requireInteger(name, 'positive', positive, { from: 0 })
  if (options.positive !== undefined && average !== undefined && average !== 'binary') {
    throw new OptionError(name, `average '${average}' is that of all classes`, {
      given: { average, positive },
      fix: "leave positive out, or choose 'binary'",
    })
  }
  return metric(average === undefined ? name : `${name}_${average}`, (predictions, targets) => {
    const counts = countsOf(predictions, targets)
    const kind = average ?? (predictions.columns === 2 || options.positive !== undefined ? 'binary' : 'macro')
    const total = (of: (one: ClassCounts) => number) => sumOf(counts, of)
    switch (kind) {
      case 'binary': {
        const others = counts.filter(({ label }) => label !== positive)
        if (others.length > 1) {
          throw new OptionError(name, `average 'binary' is of two classes`, {
            given: { classes: counts.map(({ label }) => label) },
            fix: "choose 'macro', 'weighted' or 'micro'",
          })
        }
        return score(counts.find(({ label }) => label === positive) ?? { right: 0, predicted: 0, support: 0 })
      }
      case 'micro':
        return score({
          right: total(({ right }) => right),
          predicted: total(({ predicted }) => predicted),
          support: total(({ support }) => support),
        })
      case 'macro':
        return total(score) / counts.length
      case 'weighted':
        return part(
          total((one) => score(one) * one.support),
          total(({ support }) => support),
        )
    }
  })
}

/** Counts the items of each class that has items or is predicted, in the order of classes. */
function countsOf(predictions: Predictions, targets: ArrayLike<number>): ClassCounts[] {
  requireOneTarget(predictions, targets)
  const predicted = predictedClasses(predictions)
  const size = Array.from(targets).reduce((most, label) => Math.max(most, label + 1), predictions.columns)
  const [right, chosen, support] = [0, 1, 2].map(() => new Float64Array(size))
  for (const [row, label] of predicted.entries()) {
    support[targets[row]]++
    // `NO_CLASS` is beyond the array, which drops it.
    chosen[label]++
    if (label === targets[row]) right[label]++
  }
  return Array.from({ length: size }, (_, label) => ({
    label,
    right: right[label],
    predicted: chosen[label],
    support: support[label],
  })).filter(({ predicted: count, support: items }) => count + items > 0)
}

/**
 * Sums of the rows and of the columns of the confusion matrix of the classes that occur, by the place of a class among them,
 * and the places of both classes of each item. The matrix itself would be too large for many classes.
 */
function marginsOf(predictions: Predictions, targets: ArrayLike<number>) {
  requireOneTarget(predictions, targets)
  const chosen = [...predictedClasses(predictions)]
  const labels = [...new Set([...Array.from(targets), ...chosen])].sort((a, b) => a - b)
  const place = new Map(labels.map((label, i) => [label, i]))
  const places = chosen.map((label, row) => [place.get(targets[row])!, place.get(label)!] as const)
  const [actual, predicted] = [0, 1].map(() => new Float64Array(labels.length))
  for (const [i, j] of places) {
    actual[i]++
    predicted[j]++
  }
  return { places, actual, predicted }
}

/** Returns predictions as they are if all rows are probabilities, otherwise their softmax. */
function probabilitiesOf({ rows, columns, data }: Predictions): Float32Array | Float64Array {
  const isProbability = Array.from({ length: rows }, (_, row) => {
    const own = data.subarray(row * columns, (row + 1) * columns)
    return own.every((value) => value >= 0) && Math.abs(own.reduce((sum, value) => sum + value, 0) - 1) < 1e-3
  })
  if (isProbability.every(Boolean)) return data
  const scores = Float64Array.from(data)
  for (let row = 0; row < rows; row++) {
    const own = scores.subarray(row * columns, (row + 1) * columns)
    const top = own.reduce((most, value) => Math.max(most, value), -Infinity)
    let sum = 0
    for (let k = 0; k < columns; k++) sum += own[k] = Math.exp(own[k] - top)
    for (let k = 0; k < columns; k++) own[k] /= sum
  }
  return scores
}

/**
 * Computes the area under the ROC curve: the probability that an item that is right has a larger score than one that is not,
 * equal ones counting half. NaN if all are right, or none.
 *
 * Only the scores that are right are sorted: of many classes each has few items.
 *
 * Source: Mann & Whitney 1947.
 */
function areaOf(count: number, isRight: (item: number) => boolean, score: (item: number) => number): number {
  let rights = 0
  for (let item = 0; item < count; item++) if (isRight(item)) rights++
  const sorted = new Float64Array(rights)
  for (let item = 0, at = 0; item < count; item++) if (isRight(item)) sorted[at++] = score(item)
  sorted.sort()
  let above = 0
  for (let item = 0; item < count; item++) {
    if (isRight(item)) continue
    const own = score(item)
    const smaller = countUntil(sorted, (value) => value >= own)
    above += rights - (smaller + countUntil(sorted, (value) => value > own)) / 2
  }
  return above / (rights * (count - rights))
}

/** Counts the values before the first that has reached something, as have all after it. */
function countUntil(sorted: Float64Array, hasReached: (value: number) => boolean): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (hasReached(sorted[middle])) high = middle
    else low = middle + 1
  }
  return low
}

/** Averages the areas of all pairs of classes, among the items of both. Source: Hand & Till 2001, equation 7. */
function pairs(
  rowsOf: ReadonlyMap<number, readonly number[]>,
  classes: readonly number[],
  score: (row: number, label: number) => number,
  average: 'macro' | 'weighted' | 'micro',
): number {
  const all = classes.flatMap((a, i) => classes.slice(i + 1).map((b) => [a, b] as const))
  const area = (label: number, other: number) => {
    const [own = [], others = []] = [rowsOf.get(label), rowsOf.get(other)]
    const rows = [...own, ...others]
    return areaOf(
      rows.length,
      (i) => i < own.length,
      (i) => score(rows[i], label),
    )
  }
  return meanOf(all, average, ([a, b]) => ({
    score: (area(a, b) + area(b, a)) / 2,
    weight: (rowsOf.get(a)?.length ?? 0) + (rowsOf.get(b)?.length ?? 0),
  }))
}

function meanOf<Item>(
  items: readonly Item[],
  average: string,
  rate: (item: Item) => { readonly score: number; readonly weight: number },
): number {
  const rated = items.map(rate)
  const weight = (one: { readonly weight: number }) => (average === 'weighted' ? one.weight : 1)
  return sumOf(rated, (one) => one.score * weight(one)) / sumOf(rated, weight)
}

function sumOf<Item>(items: readonly Item[], value: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + value(item), 0)
}
