import { requireRange } from '../../base/check.ts'
import { OptionError } from '../../base/errors.ts'
import { formatTable } from '../../base/table.ts'
import type { ItemPredictions } from '../fit/evaluation.ts'
import { argmax, outputName } from '../fit/metrics.ts'

/** One class taken for another, and how often. */
export interface Confusion {
  readonly actual: string
  readonly predicted: string
  readonly count: number
}

/** An item and how wrong the model was about it. */
export interface ItemLoss {
  /** Its number in the data set. */
  readonly item: number
  readonly actual: string
  readonly predicted: string
  /** Of the class that was predicted. */
  readonly probability: number
  readonly loss: number
}

/**
 * What a classifier gets right and what it confuses, from its probabilities for labelled items.
 *
 * Source: fastai interpret.py, ClassificationInterpretation.
 */
export class ClassificationInterpretation {
  readonly results: ItemPredictions
  readonly vocab: readonly string[]
  /** The class with the largest probability, of every row. It is beyond the vocabulary where a model has outputs there. */
  readonly predicted: Uint32Array

  /**
   * @param results  as of `learner.getPredictions()`
   * @param vocab    as of `loaders.vocab`
   * @throws OptionError  when the labels of the items are not known
   */
  constructor(results: ItemPredictions, vocab: readonly string[]) {
    if (results.targets.length !== results.predictions.rows) {
      throw new OptionError('interpretation', 'there are no labels to compare predictions with', {
        given: { predictions: results.predictions.rows, labels: results.targets.length },
        fix: 'predict items that have labels: loaders.test(paths, { labels })',
      })
    }
    this.results = results
    this.vocab = vocab
    this.predicted = argmax(results.predictions)
  }

  /** Counts of items: a row for each actual class, a column for each predicted one, both in the order of the vocabulary. */
  confusionMatrix(): number[][] {
    const matrix = this.vocab.map(() => new Array<number>(this.vocab.length).fill(0))
    for (const { actual, predicted, count } of this.pairs()) matrix[actual][predicted] = count
    return matrix
  }

  /** The counts of the confusion matrix that are not 0, in its order. A matrix of 10,000 classes has 10⁸ numbers. */
  private pairs(): { readonly actual: number; readonly predicted: number; readonly count: number }[] {
    const { length } = this.vocab
    const counts = new Map<number, number>()
    for (const [row, actual] of this.results.targets.entries()) {
      const predicted = this.predicted[row]
      const cell = actual * length + predicted
      if (actual < length && predicted < length) counts.set(cell, (counts.get(cell) ?? 0) + 1)
    }
    return [...counts]
      .sort(([a], [b]) => a - b)
      .map(([cell, count]) => ({ actual: Math.floor(cell / length), predicted: cell % length, count }))
  }

  /**
   * What is most often taken for something else, the most frequent first.
   *
   * @param fewest  leave out what happened less often. Default 1
   * @throws OptionError  when that is no number of items from 1 on
   */
  mostConfused(fewest = 1): Confusion[] {
    requireRange('mostConfused', { fewest }, fewest >= 1, 'at least 1')
    return this.pairs()
      .filter(({ actual, predicted, count }) => actual !== predicted && count >= fewest)
      .sort((a, b) => b.count - a.count)
      .map(({ actual, predicted, count }) => ({ actual: this.vocab[actual], predicted: this.vocab[predicted], count }))
  }

  /**
   * The items with the largest losses, the largest first; or, with `largest: false`, the smallest.
   *
   * @param k  how many. Default all
   * @throws OptionError  when k is no number of items
   */
  topLosses(k = Infinity, { largest = true }: { readonly largest?: boolean } = {}): ItemLoss[] {
    requireRange('topLosses', { k }, k >= 0, 'at least 0')
    const { losses, targets, items, predictions } = this.results
    // A loss that is no number is larger than any.
    const size = (row: number) => (Number.isNaN(losses[row]) ? Infinity : losses[row])
    const rows = Array.from(losses.keys()).sort((a, b) => (largest ? size(b) - size(a) : size(a) - size(b)))
    return rows.slice(0, k).map((row) => ({
      item: items[row],
      actual: outputName(this.vocab, targets[row]),
      predicted: outputName(this.vocab, this.predicted[row]),
      probability: predictions.data[row * predictions.columns + this.predicted[row]],
      loss: losses[row],
    }))
  }

  /**
   * A table of precision, recall, their harmonic mean and the number of items of every class, and their means over
   * classes and over items.
   *
   * Source: scikit-learn metrics/_classification.py, classification_report.
   */
  classificationReport(): string {
    const { targets } = this.results
    const [right, predicted, support] = [0, 1, 2].map(() => new Uint32Array(this.vocab.length))
    for (const [row, actual] of targets.entries()) {
      // What is beyond the vocabulary has no place to be counted in.
      support[actual]++
      predicted[this.predicted[row]]++
      if (actual === this.predicted[row]) right[actual]++
    }
    const classes = this.vocab.map((name, label) => scores(name, right[label], predicted[label], support[label]))
    const total = (of: (one: Scores) => number) => classes.reduce((sum, one) => sum + of(one), 0)
    const all = total((one) => one.support)
    const mean = (weight: (one: Scores) => number) => ({
      precision: total((one) => one.precision * weight(one)),
      recall: total((one) => one.recall * weight(one)),
      f1: total((one) => one.f1 * weight(one)),
    })
    const micro = scores(
      '',
      total((one) => one.right),
      total((one) => one.predicted),
      all,
    )
    const line = (name: string, { precision, recall, f1 }: ReturnType<typeof mean>, items = all) => [
      name,
      ...[precision, recall, f1].map((score) => score.toFixed(2)),
      String(items),
    ]
    const lines = [
      ['', 'precision', 'recall', 'f1-score', 'support'],
      ...classes.map((one) => line(one.name, one, one.support)),
      // Where something beyond the vocabulary was predicted too, none of the three is the accuracy.
      this.predicted.every((label) => label < this.vocab.length)
        ? ['accuracy', '', '', micro.f1.toFixed(2), String(all)]
        : line('micro avg', micro),
      line(
        'macro avg',
        mean(() => 1 / classes.length),
      ),
      line(
        'weighted avg',
        mean((one) => (all === 0 ? 0 : one.support / all)),
      ),
    ]
    return formatTable(lines)
  }
}

interface Scores {
  readonly name: string
  /** Items predicted to be of the class and being of it, items predicted to be, items being. */
  readonly right: number
  readonly predicted: number
  readonly support: number
  readonly precision: number
  readonly recall: number
  readonly f1: number
}

/** Where nothing can be measured a score is 0. */
function scores(name: string, right: number, predicted: number, support: number): Scores {
  const part = (of: number, whole: number) => (whole === 0 ? 0 : of / whole)
  const [precision, recall, f1] = [part(right, predicted), part(right, support), part(2 * right, predicted + support)]
  return { name, right, predicted, support, precision, recall, f1 }
}
