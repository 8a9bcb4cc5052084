import { requireInteger } from '../../base/check.ts'
import { OptionError, ShapeError } from '../../base/errors.ts'

/** What a model says of some items: `columns` numbers each, row after row. */
export interface Predictions {
  readonly rows: number
  readonly columns: number
  readonly data: Float32Array
}

/** A figure of merit of predictions (outputs or probabilities) against the labels. Its name heads a column. */
export interface Metric {
  (predictions: Predictions, targets: ArrayLike<number>): number
  readonly name: string
}

/** @throws OptionError  unless each metric has a name of its own: it heads a column, and is what its value is known by */
export function checkedMetrics(metrics: readonly Metric[]): readonly Metric[] {
  const names = metrics.map(({ name }) => name)
  if (names.every((name, i) => name !== '' && names.indexOf(name) === i)) return metrics
  throw new OptionError('metrics', 'a metric has no name of its own', {
    given: { names },
    fix: 'give each once, and write a function of yours as one with a name: function hits(predictions, targets) { … }',
  })
}

/** The fraction of items whose largest prediction is that of their label. Source: fastai metrics.py, accuracy. */
export const accuracy: Metric = metric('accuracy', (predictions, targets) => meanOver(predictions, targets, isLargest))

/** 1 − accuracy. Source: fastai metrics.py, error_rate. */
export const errorRate: Metric = metric('error_rate', (predictions, targets) => 1 - accuracy(predictions, targets))

/**
 * The fraction of items whose label is among the k largest predictions.
 *
 * @param k  Default 5
 * Source: fastai metrics.py, top_k_accuracy.
 */
export function topKAccuracy(k = 5): Metric {
  requireInteger('topKAccuracy', 'k', k, { from: 1 })
  return metric(`top_${k}_accuracy`, (predictions, targets) =>
    meanOver(predictions, targets, (data, start, columns, target) => placeOf(data, start, columns, target) < k),
  )
}

/** The column of the largest number of each row; the first of equal ones. A NaN counts as the largest. Source: torch.argmax. */
export function argmax({ rows, columns, data }: Predictions): Uint32Array {
  return Uint32Array.from({ length: rows }, (_, row) => {
    let best = 0
    const start = row * columns
    for (let column = 1; column < columns; column++) {
      if (exceeds(data[start + column], data[start + best])) best = column
    }
    return best
  })
}

/** The name of a class, or the number of an output beyond the vocabulary: a model may have more than there are classes. */
export function outputName(vocab: readonly string[], output: number): string {
  return vocab[output] ?? `output ${output}`
}

/** Gives a function its name for good: a minifier would change it. */
function metric(name: string, compute: (predictions: Predictions, targets: ArrayLike<number>) => number): Metric {
  return Object.defineProperty(compute, 'name', { value: name })
}

type Judge = (data: Float32Array, start: number, columns: number, target: number) => boolean

function meanOver({ rows, columns, data }: Predictions, targets: ArrayLike<number>, right: Judge): number {
  if (targets.length !== rows) {
    throw new ShapeError('metric', 'there are not as many targets as predictions', {
      given: { predictions: rows, targets: targets.length },
    })
  }
  let count = 0
  for (let row = 0; row < rows; row++) if (right(data, row * columns, columns, targets[row])) count++
  return count / rows
}

const isLargest: Judge = (data, start, columns, target) => placeOf(data, start, columns, target) === 0

/** True if a is larger than b, a NaN being larger than every number. */
function exceeds(a: number, b: number): boolean {
  return a > b || (Number.isNaN(a) && !Number.isNaN(b))
}

/**
 * How many predictions stand before the target's when NaN comes first, then the largest, and equal ones in their order.
 * For a target that is NaN or has no column infinitely many: a model that has come to nothing is never right, while in
 * PyTorch a row of NaN says class 0.
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
