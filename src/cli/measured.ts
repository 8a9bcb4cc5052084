import type { Json } from '../base/json.ts'
import { formatTable } from '../base/table.ts'
import { ClassificationInterpretation } from '../node.ts'
import type { ItemPredictions, MeasuredAccuracy } from '../exports/train.ts'

/** Classes whose confusion matrix is printed; of more only the most confused pairs. */
const MATRIX = 12
const PAIRS = 5

/** Figures of predictions for labeled images. */
export interface Measured extends MeasuredAccuracy {
  readonly interpretation: ClassificationInterpretation
}

/** Measures predictions. */
export function measure(results: ItemPredictions, vocab: readonly string[]): Measured {
  const interpretation = new ClassificationInterpretation(results, vocab)
  return { interpretation, ...interpretation.accuracy() }
}

/** Formats an accuracy: `accuracy 93.3% (28 of 30), with 95% confidence between 78.7% and 98.2%` */
export function accuracyText({ accuracy, right, count, interval: [low, high] }: Measured): string {
  return `accuracy ${percent(accuracy)} (${right} of ${count}), with 95% confidence between ${percent(low)} and ${percent(high)}`
}

/** Formats accuracy, the figures of each class, and what is confused with what. */
export function measuredText(measured: Measured): string {
  const { interpretation } = measured
  const { vocab } = interpretation
  const pairs = interpretation.mostConfused().slice(0, PAIRS)
  const matrix = interpretation.confusionMatrix()
  const confusion =
    vocab.length > MATRIX
      ? []
      : [
          '',
          formatTable([['actual \\ predicted', ...vocab], ...matrix.map((row, i) => [vocab[i], ...row.map(String)])]),
        ]
  return [
    accuracyText(measured),
    '',
    interpretation.classificationReport(),
    ...confusion,
    ...(vocab.length > MATRIX && pairs.length > 0
      ? ['', ...pairs.map(({ actual, predicted, count }) => `${count} × ${actual} taken for ${predicted}`)]
      : []),
  ].join('\n')
}

/** Returns the same figures as a document. */
export function measuredJson(measured: Measured): { readonly [name: string]: Json } {
  const { interpretation, accuracy, interval, baseline, count, right } = measured
  return {
    accuracy,
    interval: [...interval],
    baseline,
    count,
    right,
    perClass: interpretation.classScores().map(({ name, precision, recall, f1, support }) => ({
      name,
      precision,
      recall,
      f1,
      support,
    })),
    confusion: { classes: interpretation.vocab, counts: interpretation.confusionMatrix() },
  }
}

function percent(share: number): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(1)}%` : '–'
}
