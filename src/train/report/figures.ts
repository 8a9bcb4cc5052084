/** Figures and images that a report shows, as data: what training collects and the pages render. */
import type { Confusion } from '../results/interpretation.ts'

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

/** Columns of an epoch in a CSV file, for `epochCells`. */
export const EPOCH_COLUMNS = [
  'epoch',
  'train_loss',
  'valid_loss',
  'accuracy',
  'seconds',
  'images_per_second',
  'skipped_steps',
  'loss_scale',
] as const

/** Returns the cells of an epoch under `EPOCH_COLUMNS`, with all digits; the last two are empty in f32. */
export function epochCells(row: EpochResult): readonly (number | string)[] {
  const { epoch, trainLoss, validLoss, accuracy, seconds, imagesPerSecond, skippedSteps = '', lossScale = '' } = row
  return [epoch, trainLoss, validLoss, accuracy, seconds, imagesPerSecond, skippedSteps, lossScale]
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

export interface ConfusionResult {
  readonly classes: readonly string[]
  /** Confusion matrix: one row per actual class, one column per predicted class. */
  readonly counts: readonly (readonly number[])[]
  /** Most frequent confusions, the most frequent first. */
  readonly pairs: readonly Confusion[]
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
