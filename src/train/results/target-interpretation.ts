import { OptionError } from '../../base/errors.ts'
import { percent } from '../../base/format.ts'
import { checkArgument, checkOptions, NUMBER, objectWith } from '../../base/options.ts'
import { formatTable } from '../../base/table.ts'
import { numberNames, rowOf, type TargetCodec } from '../../data/targets.ts'
import type { ItemPredictions } from '../fit/evaluation.ts'
import { PREDICTIONS } from '../fit/kinds.ts'
import type { Predictions } from '../fit/metrics.ts'
import { scoresOf } from '../fit/scores.ts'
import { accuracyMulti, f1ScoreMulti, mae, r2Score, rmse } from '../fit/target-metrics.ts'
import { wilsonInterval } from './confidence.ts'
import { rowsByLoss } from './interpretation.ts'

const TARGET = objectWith('the meaning of the targets: `loaders.target`', 'decode', 'text')

/** Scores of one label of several. */
export interface LabelScores {
  readonly name: string
  readonly precision: number
  readonly recall: number
  readonly f1: number
  /** Number of items with the label. */
  readonly support: number
}

/** Errors of one number of a target. */
export interface NumberErrors {
  readonly name: string
  readonly mae: number
  readonly rmse: number
  readonly r2: number
  /** Root of the mean squared error of always answering with the mean of the items. */
  readonly baseline: number
}

/** Target and prediction of one item, as texts. */
export interface TargetLoss {
  /** Number of the item in the data set. */
  readonly item: number
  readonly actual: string
  readonly predicted: string
  readonly loss: number
}

/**
 * Evaluation of predictions for targets that are labels, any number of an item, or numbers: scores, those of every label or
 * number, largest losses and a report. `ClassificationInterpretation` is that of one class each.
 *
 *   const { target } = learner.loaders
 *   console.log(new TargetInterpretation(await learner.getPredictions(), target).report())
 */
export class TargetInterpretation {
  readonly results: ItemPredictions
  readonly target: TargetCodec
  /** True if targets are labels, false for numbers. */
  readonly isLabels: boolean
  /** Probability above which a label counts. */
  readonly threshold: number

  /**
   * @param results  predictions, such as those of `learner.getPredictions()`
   * @param target   meaning of the targets: `loaders.target`
   * @param options.threshold  probability above which a label counts. Default 0.5
   * @throws OptionError  if targets are one class each, or not known
   */
  constructor(results: ItemPredictions, target: TargetCodec, options: { readonly threshold?: number } = {}) {
    checkArgument('TargetInterpretation', 'results', results, PREDICTIONS)
    checkArgument('TargetInterpretation', 'target', target, TARGET)
    checkOptions('TargetInterpretation', options, { threshold: NUMBER })
    if (target.columns === 'class') {
      throw new OptionError('TargetInterpretation', 'the targets are one class each', {
        fix: 'use ClassificationInterpretation',
      })
    }
    if (results.targets.length !== results.predictions.data.length) {
      throw new OptionError('TargetInterpretation', 'there are no targets to compare predictions with', {
        given: { predictions: results.predictions.data.length, targets: results.targets.length },
        fix: 'predict items that have labels: loaders.test(paths, { labels })',
      })
    }
    this.results = results
    this.target = target
    this.isLabels = target.vocab.length > 0
    this.threshold = options.threshold ?? 0.5
  }

  /**
   * Computes the scores of all items: `accuracy` of all decisions, `exact`, the part of the items with all labels right, with its
   * 95% `interval`, and F1 as mean over labels (`f1`) and of all decisions (`f1Micro`); of numbers `mae`, `rmse` and `r2`.
   */
  scores(): Readonly<Record<string, number>> {
    const { predictions, targets } = this.results
    if (!this.isLabels) {
      return { mae: mae(predictions, targets), rmse: rmse(predictions, targets), r2: r2Score(predictions, targets) }
    }
    const how = { sigmoid: false, threshold: this.threshold }
    const right = Array.from({ length: predictions.rows }, (_, row) => this.isRight(row)).filter(Boolean).length
    const [exactLow, exactHigh] = wilsonInterval(right, predictions.rows)
    return {
      accuracy: accuracyMulti(how)(predictions, targets),
      exact: right / predictions.rows,
      exactLow,
      exactHigh,
      f1: f1ScoreMulti(how)(predictions, targets),
      f1Micro: f1ScoreMulti({ ...how, average: 'micro' })(predictions, targets),
    }
  }

  /** Computes precision, recall and F1 of every label, in their order; empty where targets are numbers. */
  labelScores(): LabelScores[] {
    if (!this.isLabels) return []
    const { data, columns } = this.results.predictions
    const { targets } = this.results
    return this.target.vocab.map((name, column) => {
      const counts = { right: 0, predicted: 0, support: 0 }
      for (let i = column; i < data.length; i += columns) {
        const [isPredicted, holds] = [data[i] > this.threshold, targets[i] > 0.5]
        counts.predicted += Number(isPredicted)
        counts.support += Number(holds)
        counts.right += Number(isPredicted && holds)
      }
      return { name, ...scoresOf(counts), support: counts.support }
    })
  }

  /** Computes the errors of every number, in their order; empty where targets are labels. */
  numberErrors(): NumberErrors[] {
    if (this.isLabels) return []
    const { predictions, targets } = this.results
    const { rows, columns } = predictions
    return numberNames(this.target).map((name, column) => {
      const one = (values: ArrayLike<number>) =>
        Float32Array.from({ length: rows }, (_, row) => values[row * columns + column])
      const [predicted, actual] = [{ rows, columns: 1, data: one(predictions.data) }, one(targets)]
      const mean = actual.reduce((sum, value) => sum + value, 0) / rows
      const same: Predictions = { rows, columns: 1, data: new Float32Array(rows).fill(mean) }
      const errors = { mae: mae(predicted, actual), rmse: rmse(predicted, actual), r2: r2Score(predicted, actual) }
      return { name, ...errors, baseline: rmse(same, actual) }
    })
  }

  /** Returns the items with the largest losses, the largest first. @param k  number of items. Default all */
  topLosses(k = Infinity): TargetLoss[] {
    const { losses, items, targets } = this.results
    return rowsByLoss(losses, true)
      .slice(0, k)
      .map((row) => ({
        item: items[row],
        actual: this.target.text(rowOf(targets, this.target, row)) || 'no label',
        predicted: this.target.text(this.decoded(row)) || 'no label',
        loss: losses[row],
      }))
  }

  /**
   * Returns the items with the largest losses that are wrong, the largest first: of labels those with a label too many or too
   * few; a number is never quite right. @param k  number of items with the largest losses to look at
   */
  mostWrong(k: number): TargetLoss[] {
    return this.topLosses(k).filter(({ actual, predicted }) => actual !== predicted)
  }

  /** Formats the scores of all items, and a table of those of every label or number. */
  report(): string {
    const scores = this.scores()
    const digits = (value: number) => String(Number(value.toPrecision(4)))
    if (this.isLabels) {
      const lines = this.labelScores().map(({ name, precision, recall, f1, support }) => [
        name,
        ...[precision, recall, f1].map((score) => score.toFixed(2)),
        String(support),
      ])
      return [
        `F1 ${scores.f1.toFixed(3)} (mean of the labels), ${scores.f1Micro.toFixed(3)} (all decisions); accuracy of all decisions ${percent(scores.accuracy)}`,
        `all labels right ${percent(scores.exact)} of ${this.results.predictions.rows} images, with 95% confidence between ${percent(scores.exactLow)} and ${percent(scores.exactHigh)}`,
        '',
        formatTable([['', 'precision', 'recall', 'f1-score', 'support'], ...lines]),
      ].join('\n')
    }
    const lines = this.numberErrors().map(({ name, ...errors }) => [name, ...Object.values(errors).map(digits)])
    return [
      `mean absolute error ${digits(scores.mae)}, R² ${scores.r2.toFixed(3)} (0: no better than the mean), ${this.results.predictions.rows} images`,
      '',
      formatTable([['', 'mae', 'rmse', 'r2', 'rmse of the mean'], ...lines]),
    ].join('\n')
  }

  /** Returns what is predicted for an item as a target. */
  private decoded(row: number): ArrayLike<number> {
    const { data, columns } = this.results.predictions
    return this.target.decode(data.subarray(row * columns, (row + 1) * columns), this.threshold)
  }

  /** True if all labels of an item are right; a prediction of NaN never is. */
  private isRight(row: number): boolean {
    const { data, columns } = this.results.predictions
    const targets = rowOf(this.results.targets, this.target, row)
    return Array.from(this.decoded(row)).every(
      (value, i) => !Number.isNaN(data[row * columns + i]) && value > 0.5 === targets[i] > 0.5,
    )
  }
}
