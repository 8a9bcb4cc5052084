import { requireInteger } from '../../base/check.ts'
import { OptionError, ShapeError } from '../../base/errors.ts'
import { exceeds, placeOfLargest } from '../../base/largest.ts'
import { checkArgument } from '../../base/options.ts'
import { outputName } from '../../data/targets.ts'
import { PREDICTIONS } from './kinds.ts'
import { OWN_COLUMNS } from './own-columns.ts'

/** Outputs or probabilities of a model for some items: `rows` items with `columns` numbers each, in row-major order. */
export interface Predictions {
  readonly rows: number
  readonly columns: number
  readonly data: Float32Array
}

/**
 * Function that rates predictions (outputs or probabilities) against labels. Its `name` is its column in the table of
 * epochs.
 */
export interface Metric {
  (predictions: Predictions, targets: ArrayLike<number>): number
  readonly name: string
}

/** Metrics under names of their own, which no minifier changes: `{ hits }`. */
export type NamedMetrics = Readonly<Record<string, (predictions: Predictions, targets: ArrayLike<number>) => number>>

/**
 * Returns the metrics, each with its name.
 *
 * @throws OptionError  unless every metric has a distinct name, under which its value is reported beside the losses
 */
export function checkedMetrics(given: readonly (Metric | NamedMetrics)[]): readonly Metric[] {
  const metrics = given.flatMap((one) =>
    typeof one === 'function'
      ? [one]
      : Object.entries(one).map(([name, compute]) => metric(name, (...of) => compute(...of))),
  )
  const names = metrics.map(({ name }) => name)
  const columns = [...OWN_COLUMNS, ...names]
  if (names.every((name, i) => name !== '' && columns.indexOf(name) === OWN_COLUMNS.length + i)) {
    // In the order in which rows, which are objects, have them: those called by whole numbers come first.
    return Object.values(Object.fromEntries(metrics.map((one) => [one.name, one])))
  }
  throw new OptionError('metrics', 'every metric must have a distinct name', {
    given: { names },
    expected: `other names than ${OWN_COLUMNS.join(', ')}`,
    fix: 'pass each metric once, and write your own as a named function: function hits(predictions, targets) { … }, or, where a bundler changes names, as { hits }',
  })
}

/**
 * Computes the fraction of items whose largest prediction is that of their label. Source: fastai metrics.py, accuracy.
 */
export const accuracy: Metric = metric('accuracy', (predictions, targets) => rightAmong(1, predictions, targets))

/** Computes 1 − accuracy. Source: fastai metrics.py, error_rate. */
export const errorRate: Metric = metric('error_rate', (predictions, targets) => 1 - accuracy(predictions, targets))

/**
 * Makes the metric that computes the fraction of items whose label is among the k largest predictions.
 *
 * @param k  Default 5
 * @throws OptionError  if k is not a positive integer
 * Source: fastai metrics.py, top_k_accuracy.
 */
export function topKAccuracy(k = 5): Metric {
  requireInteger('topKAccuracy', 'k', k, { from: 1 })
  return metric(`top_${k}_accuracy`, (predictions, targets) => rightAmong(k, predictions, targets))
}

/**
 * Returns the column of the largest number of each row, the first of equal ones; NaN counts as the largest. Source:
 * torch.argmax.
 */
export function argmax({ rows, columns, data }: Predictions): Uint32Array {
  return Uint32Array.from({ length: rows }, (_, row) => placeOfLargest(data, row * columns, columns))
}

/** Predicted class of a row with NaN: no target names it, and typed arrays of counts have no place for it. */
export const NO_CLASS = 2 ** 32 - 1

/** Returns the predicted class of each row; for a row with a NaN, which is never right, `NO_CLASS`. In PyTorch it is class 0. */
export function predictedClasses(predictions: Predictions): Uint32Array {
  const { columns, data } = predictions
  return argmax(predictions).map((label, row) => (Number.isNaN(data[row * columns + label]) ? NO_CLASS : label))
}

/** Returns the name of the predicted class of a row and its probability: `not a number` and NaN for `NO_CLASS`. */
export function namedPrediction(
  vocab: readonly string[],
  { columns, data }: Predictions,
  row: number,
  label: number,
): { readonly predicted: string; readonly probability: number } {
  if (label === NO_CLASS) return { predicted: 'not a number', probability: NaN }
  return { predicted: outputName(vocab, label), probability: data[row * columns + label] }
}

/**
 * Refuses predictions for targets that are not one class each.
 *
 * @param fix  what there is instead
 */
export function requireClassTargets(
  where: string,
  results: { readonly targets: ArrayLike<number> },
  fix?: string,
): void {
  checkArgument(where, 'results', results, PREDICTIONS)
  if (!(results.targets instanceof Float32Array)) return
  throw new OptionError(where, 'this is for targets of one class per image', {
    given: { targets: `${results.targets.length} numbers` },
    expected: 'predictions for loaders with a CategoryBlock',
    fix,
  })
}

/** Sets the name of a function explicitly, because a minifier would change it. */
export function metric(
  name: string,
  compute: (predictions: Predictions, targets: ArrayLike<number>) => number,
): Metric {
  return Object.defineProperty(compute, 'name', { value: name })
}

/** Computes the fraction of items whose label is among the k largest predictions. */
function rightAmong(k: number, predictions: Predictions, targets: ArrayLike<number>): number {
  requireOneTarget(predictions, targets)
  const { rows, columns, data } = predictions
  let count = 0
  for (let row = 0; row < rows; row++) if (placeOf(data, row * columns, columns, targets[row]) < k) count++
  return count / rows
}

/** @throws ShapeError  unless there is one target per item */
export function requireOneTarget({ rows, data }: Predictions, targets: ArrayLike<number>): void {
  if (targets.length === rows) return
  throw new ShapeError('metric', 'targets and predictions differ in number', {
    given: { predictions: rows, targets: targets.length },
    fix:
      targets.length === data.length
        ? 'for several labels per image use accuracyMulti(), for numbers mae or rmse'
        : undefined,
  })
}

/**
 * Returns the number of predictions that rank before the target's, with NaN first, then in descending order, equal ones
 * by column. Infinity if the target's prediction is NaN or has no column: predictions of NaN are never counted as
 * right, whereas in PyTorch a row of NaN predicts class 0.
 */
function placeOf(data: Float32Array, start: number, columns: number, target: number): number {
  const own = data[start + target]
  if (target >= columns || Number.isNaN(own)) return Infinity
  let before = 0
  for (let column = 0; column < columns; column++) {
    const other = data[start + column]
    if (exceeds(other, own) || (other === own && column < target)) before++
  }
  return before
}
