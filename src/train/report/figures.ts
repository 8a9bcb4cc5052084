/** Figures and images that a report shows, as data: what training collects and the pages render. */
import type { EpochRow } from '../fit/history.ts'
import type { Confusion } from '../results/interpretation.ts'
import type { LabelScores, NumberErrors } from '../results/target-interpretation.ts'

/** Results of one epoch. */
export interface EpochResult {
  readonly epoch: number
  readonly trainLoss: number
  readonly validLoss: number
  readonly accuracy: number
  /** All metrics by name, where others than the accuracy are reported. */
  readonly metrics?: Readonly<Record<string, number>>
  readonly seconds: number
  readonly imagesPerSecond: number
  /** Number of training steps skipped because their gradients overflowed; only in mixed precision. */
  readonly skippedSteps?: number
  readonly lossScale?: number
}

/** Converts a row of the recorder to its form in a report; the accuracy is NaN without that metric, others are there by name. */
export function epochResult({
  epoch,
  trainLoss,
  validLoss,
  metrics,
  timeMs,
  imagesPerSecond,
  skippedSteps,
  lossScale,
}: EpochRow): EpochResult {
  const scaling = skippedSteps === undefined ? {} : { skippedSteps, lossScale }
  return {
    epoch,
    trainLoss,
    validLoss,
    accuracy: metrics.accuracy ?? NaN,
    ...(Object.keys(metrics).join() === 'accuracy' ? {} : { metrics }),
    seconds: timeMs / 1000,
    imagesPerSecond,
    ...scaling,
  }
}

/** Returns the columns of an epoch in a CSV file, for `epochCells`. @param metrics  names. Default the accuracy */
export function epochColumns(metrics: readonly string[] = ['accuracy']): readonly string[] {
  const after = ['seconds', 'images_per_second', 'skipped_steps', 'loss_scale']
  return ['epoch', 'train_loss', 'valid_loss', ...metrics, ...after]
}

/** Returns the cells of an epoch under `epochColumns`, with all digits; the last two are empty in f32. */
export function epochCells(row: EpochResult, metrics: readonly string[] = ['accuracy']): readonly (number | string)[] {
  const { epoch, trainLoss, validLoss, seconds, imagesPerSecond, skippedSteps = '', lossScale = '' } = row
  const values = metrics.map((name) => metricOf(row, name))
  return [epoch, trainLoss, validLoss, ...values, seconds, imagesPerSecond, skippedSteps, lossScale]
}

/** Returns a metric of an epoch; NaN where it was not computed. */
export function metricOf({ accuracy, metrics }: EpochResult, name: string): number {
  return metrics?.[name] ?? (name === 'accuracy' ? accuracy : NaN)
}

/** Figures of one training step. */
export interface StepFigures {
  readonly iteration: number
  readonly loss: number
  readonly smoothLoss: number
  readonly lr: number
  readonly momentum: number
  /** Loss scale after the step; only in mixed precision. */
  readonly lossScale?: number
  readonly skippedSteps?: number
}

/** Steps and epochs of one fit. */
export interface FitFigures<Step extends StepFigures = StepFigures> {
  readonly epochs: readonly EpochResult[]
  readonly steps: readonly Step[]
  readonly stepsPerEpoch: number
}

/** Image of a report. */
export interface Tile {
  /** `data:image/png;base64,…` */
  readonly uri: string
  readonly label: string
  /** With mixup or CutMix: label of the other image, and the weight of the first. */
  readonly mixedWith?: string
  readonly share?: number
}

/** Images shown under one title. */
export interface TileGroup {
  readonly title: string
  readonly tiles: readonly Tile[]
}

/** Most classes of a confusion matrix in a page: their cells take 1 MB; those of 1,000 classes would take 100. */
export const MOST_CLASSES = 100

export interface ConfusionResult {
  readonly classes: readonly string[]
  /** Confusion matrix: one row per actual class, one column per predicted class; empty of more than `MOST_CLASSES`. */
  readonly counts: readonly (readonly number[])[]
  /** Most frequent confusions, the most frequent first. */
  readonly pairs: readonly Confusion[]
}

/** Results for targets that are labels, any number of an image, or numbers. */
export interface TargetResults {
  readonly isLabels: boolean
  /** Number of images that were measured on. */
  readonly count: number
  /** Scores of all images by name, those of `TargetInterpretation.scores`. */
  readonly scores: Readonly<Record<string, number>>
  readonly labels: readonly LabelScores[]
  readonly numbers: readonly NumberErrors[]
  /** Images with the largest losses, the largest first. */
  readonly mostWrong: readonly TargetTile[]
}

/** Image with its target and what was predicted, as texts. */
export interface TargetTile {
  readonly uri: string
  readonly path: string
  readonly actual: string
  readonly predicted: string
  readonly loss: number
}

/** Misclassified image. */
export interface WrongTile {
  readonly uri: string
  readonly predicted: string
  readonly actual: string
  readonly loss: number
  /** Probability of the predicted class. */
  readonly probability: number
  /** Path of the file, where the report names it. */
  readonly path?: string
  /** Address of the same image with what speaks for the predicted class over it (see `gradCam`). */
  readonly map?: string
}

/** Image whose label is perhaps wrong. */
export interface SuspectTile {
  readonly uri: string
  readonly path: string
  readonly actual: string
  readonly suggested: string
  readonly loss: number
}

/** Images whose labels are perhaps wrong, in a report. */
export interface SuspectLabels {
  /** Number of images for which another label is suggested, and of those that were looked at. */
  readonly suggested: number
  readonly count: number
  /** Those with the largest losses. */
  readonly tiles: readonly SuspectTile[]
  /** Sentence that introduces the command. */
  readonly advice: string
  readonly command?: string | undefined
}
