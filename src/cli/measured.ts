import { percent } from '../base/format.ts'
import type { Json } from '../base/json.ts'
import { formatTable } from '../base/table.ts'
import { ClassificationInterpretation } from '../node.ts'
import type { TargetCodec } from '../exports/data.ts'
import { TargetInterpretation, type ItemPredictions, type MeasuredAccuracy } from '../exports/train.ts'

/** Classes whose confusion matrix is printed; of more only the most confused pairs. */
const MATRIX = 12
/**
 * Classes whose confusion matrix is in the document, nearly all of it zeros; of more only the pairs that were confused. That of
 * 1,000 takes 11 MB in `results.json`, that of 7,000 more than a text can be long.
 */
const JSON_MATRIX = 1000
const PAIRS = 5

/** Figures of predictions for labeled images. */
export interface Measured extends MeasuredAccuracy {
  readonly interpretation: ClassificationInterpretation
}

/** Measures predictions for targets of any kind. @param threshold  probability above which one of several labels counts */
export function measureTargets(
  results: ItemPredictions,
  target: TargetCodec,
  threshold: number | undefined,
): AnyMeasured {
  if (target.columns === 'class') {
    const classes = new ClassificationInterpretation(results, target.vocab)
    const measured = { interpretation: classes, ...classes.accuracy() }
    return { text: measuredText(measured), json: measuredJson(measured), measured }
  }
  const interpretation = new TargetInterpretation(results, target, threshold === undefined ? {} : { threshold })
  const json = {
    ...interpretation.scores(),
    count: results.predictions.rows,
    ...(interpretation.isLabels
      ? { perLabel: interpretation.labelScores().map((one) => ({ ...one })) }
      : { perNumber: interpretation.numberErrors().map((one) => ({ ...one })) }),
  }
  return { text: interpretation.report(), json, interpretation }
}

/** Figures of predictions: in words, as a document, and as they are. */
export type AnyMeasured = { readonly text: string; readonly json: { readonly [name: string]: Json } } & (
  | { readonly measured: Measured; readonly interpretation?: undefined }
  | { readonly measured?: undefined; readonly interpretation: TargetInterpretation }
)

/** Formats accuracy, the figures of each class, and what is confused with what. */
function measuredText({ interpretation, accuracy, right, count, interval: [low, high] }: Measured): string {
  const { vocab } = interpretation
  const pairs = interpretation.mostConfused().slice(0, PAIRS)
  const matrix = () => interpretation.confusionMatrix().map((row, i) => [vocab[i], ...row.map(String)])
  const confusion = vocab.length > MATRIX ? [] : ['', formatTable([['actual \\ predicted', ...vocab], ...matrix()])]
  return [
    `accuracy ${percent(accuracy)} (${right} of ${count}), with 95% confidence between ${percent(low)} and ${percent(high)}`,
    '',
    interpretation.classificationReport(),
    ...confusion,
    ...(vocab.length > MATRIX && pairs.length > 0
      ? ['', ...pairs.map(({ actual, predicted, count }) => `${count} × ${actual} taken for ${predicted}`)]
      : []),
  ].join('\n')
}

/** Returns the same figures as a document. */
function measuredJson({ interpretation, accuracy, interval, baseline, count, right }: Measured): {
  readonly [name: string]: Json
} {
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
    confusion: confusionJson(interpretation),
  }
}

function confusionJson(interpretation: ClassificationInterpretation): Json {
  const { vocab: classes } = interpretation
  if (classes.length <= JSON_MATRIX) return { classes, counts: interpretation.confusionMatrix() }
  return { classes, pairs: interpretation.mostConfused().map((pair) => ({ ...pair })) }
}
