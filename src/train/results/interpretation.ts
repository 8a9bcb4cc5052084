import { requireRange } from '../../base/check.ts'
import { OptionError } from '../../base/errors.ts'
import { checkArgument, checkOptions, FLAG, listOf, TEXT } from '../../base/options.ts'
import { formatTable } from '../../base/table.ts'
import type { CleaningList } from '../../data/cleaning.ts'
import { wilsonInterval } from './confidence.ts'
import type { ConfusionPlotOptions } from './confusion-plot.ts'
import { CLEANING_LIST_KINDS, cleaningListOf, type CleaningListOptions } from './cleaning-list.ts'
import type { ItemPredictions } from '../fit/evaluation.ts'
import { outputName } from '../../data/targets.ts'
import { namedPrediction, predictedClasses, requireClassTargets } from '../fit/metrics.ts'
import { scoresOf } from '../fit/scores.ts'

const VOCAB = { ...listOf(TEXT), expected: 'the names of the classes: `loaders.vocab`' }

/** Number of items of one class that were predicted as another class. */
export interface Confusion {
  readonly actual: string
  readonly predicted: string
  readonly count: number
}

/** Accuracy of a model on some items, and how far it can be trusted. */
export interface MeasuredAccuracy {
  /** Number of items, and of those that were classified correctly. */
  readonly count: number
  readonly right: number
  readonly accuracy: number
  /** Interval in which the accuracy on all such images lies with 95% confidence (see `wilsonInterval`). */
  readonly interval: readonly [low: number, high: number]
  /** Part of the items that are of the most frequent class: the accuracy of always naming it. */
  readonly baseline: number
}

/** Loss and prediction of one item. */
export interface ItemLoss {
  /** Number of the item in the data set. */
  readonly item: number
  readonly actual: string
  readonly predicted: string
  /** Probability of the predicted class. */
  readonly probability: number
  readonly loss: number
  /** Path of its file, where the paths are given. */
  readonly path?: string
}

/**
 * Evaluation of a classifier from its probabilities for labeled items: confusion matrix, largest losses and a report.
 *
 * Source: fastai interpret.py, ClassificationInterpretation.
 */
export class ClassificationInterpretation {
  readonly results: ItemPredictions
  readonly vocab: readonly string[]
  /**
   * Class with the largest probability in each row. It may be beyond the vocabulary if the model has more outputs; of a row with
   * NaN it is beyond these too, so that it is never right.
   */
  readonly predicted: Uint32Array

  /**
   * @param results  predictions, such as those of `learner.getPredictions()`
   * @param vocab    names of the classes, such as `loaders.vocab`
   * @throws OptionError  if an argument is missing, or the items have no labels, or several each
   */
  constructor(results: ItemPredictions, vocab: readonly string[]) {
    requireClassTargets('interpretation', results, 'plotTopLosses and showResults are for every kind of targets')
    checkArgument('interpretation', 'vocab', vocab, VOCAB)
    if (results.targets.length !== results.predictions.rows) {
      throw new OptionError('interpretation', 'there are no labels to compare predictions with', {
        given: { predictions: results.predictions.rows, labels: results.targets.length },
        fix: 'predict items that have labels: loaders.test(paths, { labels })',
      })
    }
    this.results = results
    this.vocab = vocab
    this.predicted = predictedClasses(results.predictions)
  }

  /** Computes the accuracy with its interval: on few items it says little. */
  accuracy(): MeasuredAccuracy {
    const { targets } = this.results
    const count = targets.length
    const right = targets.filter((target, row) => target === this.predicted[row]).length
    const most = this.classScores().reduce((largest, { support }) => Math.max(largest, support), 0)
    return { count, right, accuracy: right / count, interval: wilsonInterval(right, count), baseline: most / count }
  }

  /**
   * Returns counts of items: one row per actual class, one column per predicted class, both in the order of the
   * vocabulary.
   */
  confusionMatrix(): number[][] {
    const matrix = this.vocab.map(() => new Array<number>(this.vocab.length).fill(0))
    for (const { actual, predicted, count } of this.pairs()) matrix[actual][predicted] = count
    return matrix
  }

  /**
   * Returns the nonzero entries of the confusion matrix in row-major order. A dense matrix of 10,000 classes would have
   * 10⁸ entries.
   */
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
   * Returns the most frequent confusions of two classes, the most frequent first.
   *
   * @param fewest  smallest count that is included. Default 1
   * @throws OptionError  if fewest is below 1
   */
  mostConfused(fewest = 1): Confusion[] {
    requireRange('mostConfused', { fewest }, fewest >= 1, 'at least 1')
    return this.pairs()
      .filter(({ actual, predicted, count }) => actual !== predicted && count >= fewest)
      .sort((a, b) => b.count - a.count)
      .map(({ actual, predicted, count }) => ({ actual: this.vocab[actual], predicted: this.vocab[predicted], count }))
  }

  /**
   * Returns the items with the largest losses, the largest first; with `largest: false`, those with the smallest, the
   * smallest first.
   *
   * @param k  number of items. Default all
   * @param options.paths  paths by the number of an item, such as `loaders.valid.pictures.items`: each then has its own
   * @throws OptionError  if k is negative
   */
  topLosses(
    k = Infinity,
    options: { readonly largest?: boolean; readonly paths?: readonly string[] } = {},
  ): ItemLoss[] {
    checkOptions('topLosses', options, { largest: FLAG, paths: listOf(TEXT) })
    const { largest = true, paths } = options
    requireRange('topLosses', { k }, k >= 0, 'at least 0')
    const { losses, targets, items, predictions } = this.results
    return rowsByLoss(losses, largest)
      .slice(0, k)
      .map((row) => ({
        item: items[row],
        actual: outputName(this.vocab, targets[row]),
        ...namedPrediction(this.vocab, predictions, row, this.predicted[row]),
        loss: losses[row],
        ...(paths && { path: paths[items[row]] }),
      }))
  }

  /**
   * Draws the confusion matrix as the text of an SVG: rows are the actual classes, columns the predicted ones, shaded by
   * their part of the row.
   *
   * @param options.normalize  true for parts of each row in place of counts. Default false
   * @param options.title  title above. Default 'Confusion matrix'
   * @throws OptionError  if there are more than 1,000 classes
   * Source: fastai interpret.py, ClassificationInterpretation.plot_confusion_matrix.
   */
  async plotConfusionMatrix(options: ConfusionPlotOptions = {}): Promise<string> {
    // Loaded when it is needed, as all that draws.
    const { confusionPlot } = await import('./confusion-plot.ts')
    return confusionPlot(this.vocab, () => this.confusionMatrix(), options)
  }

  /**
   * Lists the items for cleaning, by label, then loss, the largest first (see the function `cleaningList`, which lists
   * both splits of a learner).
   *
   * @param paths  paths of the data set by the number of an item, such as `loaders.valid.pictures.items`
   * @param options.split  split that the items are of. Default 'valid'
   * @throws OptionError  if count is out of range
   */
  cleaningList(
    paths: readonly string[],
    options: CleaningListOptions & { readonly split?: 'train' | 'valid' } = {},
  ): CleaningList {
    checkOptions('cleaningList', options, { ...CLEANING_LIST_KINDS, split: TEXT })
    const { split = 'valid', ...others } = options
    return cleaningListOf(this.vocab, [{ split, results: this.results, paths }], others)
  }

  /** Computes precision, recall and F1 score of every class, in the order of the vocabulary. */
  classScores(): ClassScores[] {
    const { targets } = this.results
    const [right, predicted, support] = [0, 1, 2].map(() => new Uint32Array(this.vocab.length))
    for (const [row, actual] of targets.entries()) {
      // Counts beyond the vocabulary are dropped by the typed arrays.
      support[actual]++
      predicted[this.predicted[row]]++
      if (actual === this.predicted[row]) right[actual]++
    }
    return this.vocab.map((name, label) => {
      const counts = { right: right[label], predicted: predicted[label], support: support[label] }
      return { name, ...counts, ...scoresOf(counts) }
    })
  }

  /**
   * Formats a table of precision, recall, F1 score and number of items for every class, with their means over classes
   * and over items.
   *
   * Source: scikit-learn metrics/_classification.py, classification_report.
   */
  classificationReport(): string {
    const classes = this.classScores()
    const total = (of: (one: ClassScores) => number) => classes.reduce((sum, one) => sum + of(one), 0)
    const all = total((one) => one.support)
    const mean = (weight: (one: ClassScores) => number) => ({
      precision: total((one) => one.precision * weight(one)),
      recall: total((one) => one.recall * weight(one)),
      f1: total((one) => one.f1 * weight(one)),
    })
    const micro = scoresOf({
      right: total((one) => one.right),
      predicted: total((one) => one.predicted),
      support: all,
    })
    const line = (name: string, { precision, recall, f1 }: ReturnType<typeof mean>, items = all) => [
      name,
      ...[precision, recall, f1].map((score) => score.toFixed(2)),
      String(items),
    ]
    const lines = [
      ['', 'precision', 'recall', 'f1-score', 'support'],
      ...classes.map((one) => line(one.name, one, one.support)),
      // If an output beyond the vocabulary was predicted, none of the three scores equals the accuracy.
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

/** Returns the rows of losses in their order, the largest first or last; NaN ranks above every loss. */
export function rowsByLoss(losses: Float32Array, largest: boolean): number[] {
  const size = (row: number) => (Number.isNaN(losses[row]) ? Infinity : losses[row])
  return Array.from(losses.keys()).sort((a, b) => (largest ? size(b) - size(a) : size(a) - size(b)))
}

/** Scores of one class. */
export interface ClassScores {
  readonly name: string
  /** Number of items of the class that were predicted as it. */
  readonly right: number
  /** Number of items predicted as the class. */
  readonly predicted: number
  /** Number of items of the class. */
  readonly support: number
  readonly precision: number
  readonly recall: number
  readonly f1: number
}
