import { DataError } from '../../src/base/errors.ts'
import { isRecord, parseRecord } from '../../src/base/json.ts'
import { csvLine } from '../../src/data/csv.ts'
import type { Confusion } from '../../src/exports/train.ts'
import type { ChannelStats } from '../../src/exports/data.ts'

/** What a run of the lesson leaves behind in results.json. */
export interface EpochResult {
  readonly epoch: number
  readonly trainLoss: number
  readonly validLoss: number
  readonly accuracy: number
  readonly seconds: number
  readonly imagesPerSecond: number
  /** In mixed precision: training steps that were left out, as their gradients overflowed, and the loss scale after the epoch. */
  readonly skippedSteps?: number
  readonly lossScale?: number
}

export interface SectionResult {
  readonly name: string
  readonly model: string
  readonly parameters: number
  readonly precision: 'mixed' | 'f32'
  readonly loss: string
  readonly size: number
  readonly batchSize: number
  readonly images: { readonly train: number; readonly valid: number }
  readonly classes: number
  /** Of its last fit; where nothing is trained (tta), of the training before it. */
  readonly epochs: readonly EpochResult[]
  readonly ttaAccuracy?: number
  /** Of the whole section, decoding and compiling included, and what a continued run had spent on it before. */
  readonly seconds: number
  /** The most that was in use at once. */
  readonly gpuMemoryBytes: number
  /** The accuracy that the notebook's cell ends with, if it gives one. */
  readonly notebook: { readonly accuracy?: number }
}

export interface Results {
  readonly adapter: string
  readonly software: boolean
  readonly precision: 'mixed' | 'f32'
  readonly seed: number
  readonly data: string
  /** Drawn by `sampleData`: not Imagenette. */
  readonly isSample: boolean
  readonly profile: 'full' | 'quick'
  readonly command: string
  readonly versions: Readonly<Record<string, string>>
  /** When it began, as ISO 8601. */
  readonly started: string
  readonly interrupted: boolean
  readonly sections: readonly SectionResult[]
}

/** The results.json of a run. @throws DataError  that names the file, when it is something else */
export function parseResults(file: string, text: string, fix: string): Results {
  const results = parseRecord(file, text, fix)
  const { command, started, sections } = results
  const isSection = (section: unknown) =>
    isRecord(section) &&
    typeof section.name === 'string' &&
    typeof section.seconds === 'number' &&
    typeof section.gpuMemoryBytes === 'number'
  if (
    typeof command === 'string' &&
    typeof started === 'string' &&
    Array.isArray(sections) &&
    sections.every(isSection)
  ) {
    return results as unknown as Results
  }
  throw new DataError(file, 'these are not the results of a run', {
    expected: 'a command, a time and sections, as a run writes them',
    fix,
  })
}

/** A step of training, a line of steps.jsonl. */
export interface StepResult {
  readonly section: string
  /** The number of the fit within its section: larger-images has two. */
  readonly fit: number
  readonly iteration: number
  readonly loss: number
  readonly smoothLoss: number
  readonly lr: number
  readonly momentum: number
  /** In mixed precision, after the step: the loss scale, and the steps of the fit that were skipped so far. */
  readonly lossScale?: number
  readonly skippedSteps?: number
}

/** One fit of a section, as it was. */
export interface FitResult {
  readonly epochs: readonly EpochResult[]
  readonly steps: readonly StepResult[]
  readonly stepsPerEpoch: number
}

/** A picture of the report. */
export interface Tile {
  /** `data:image/png;base64,…` */
  readonly uri: string
  readonly label: string
  /** With mixup and its like: what else is in the picture, and the share of the first. */
  readonly mixedWith?: string
  readonly share?: number
}

/** Pictures that belong together. */
export interface TileGroup {
  readonly title: string
  readonly tiles: readonly Tile[]
}

/** Red, green and blue of a batch, the same twice where nothing is normalised. */
export interface BatchStats {
  readonly before: ChannelStats
  readonly after: ChannelStats
}

/** What the report shows of a section beside its results. */
export interface SectionDetails {
  readonly fits: readonly FitResult[]
  /** Of the first batch that it trained on. */
  readonly batchStats?: BatchStats
  readonly pictures: readonly TileGroup[]
  readonly confusion?: ConfusionResult
  /** How many classes the network could tell apart. */
  readonly outputs?: number
  readonly mostWrong: readonly WrongTile[]
}

export interface ConfusionResult {
  readonly classes: readonly string[]
  /** A row for each actual class, a column for each predicted one. */
  readonly counts: readonly (readonly number[])[]
  /** What was most often taken for something else, the most frequent first. */
  readonly pairs: readonly Confusion[]
}

export interface WrongTile {
  readonly uri: string
  readonly predicted: string
  readonly actual: string
  readonly loss: number
  readonly probability: number
}

export type ReportedSection = SectionResult & SectionDetails

/** With TTA the accuracy is that of the averaged predictions. NaN where no epoch was finished. */
export function accuracyOf({ epochs, ttaAccuracy }: SectionResult): number {
  return ttaAccuracy ?? epochs.at(-1)?.accuracy ?? NaN
}

/** What guessing reaches, and what chance adds to it at most (3σ). */
export function guessing({ classes, images }: SectionResult): { readonly accuracy: number; readonly withLuck: number } {
  const accuracy = 1 / classes
  return { accuracy, withLuck: accuracy + 3 * Math.sqrt((accuracy * (1 - accuracy)) / images.valid) }
}

/** Whether a section ended with losses that are numbers, and better than guessing. */
export function hasLearnt(section: SectionResult): boolean {
  const last = section.epochs.at(-1)
  return (
    last !== undefined &&
    Number.isFinite(last.trainLoss) &&
    Number.isFinite(last.validLoss) &&
    accuracyOf(section) >= guessing(section).withLuck
  )
}

/** The epochs of all sections as comma-separated values, with all digits: one line an epoch. */
export function historyCsv(sections: readonly ReportedSection[]): string {
  const rows = sections.flatMap(({ name, fits }) =>
    fits.flatMap(({ epochs }, fit) =>
      epochs.map((row) => [
        name,
        fit,
        row.epoch,
        row.trainLoss,
        row.validLoss,
        row.accuracy,
        row.seconds,
        row.imagesPerSecond,
        row.skippedSteps ?? '',
        row.lossScale ?? '',
      ]),
    ),
  )
  const names = [
    'section',
    'fit',
    'epoch',
    'train_loss',
    'valid_loss',
    'accuracy',
    'seconds',
    'images_per_second',
    'skipped_steps',
    'loss_scale',
  ]
  return [names, ...rows].map(csvLine).join('')
}

/** The training steps of all sections, one JSON object a line; what is not a number is null. */
export function stepLines(sections: readonly ReportedSection[]): string {
  return sections
    .flatMap(({ fits }) => fits.flatMap(({ steps }) => steps.map((step) => `${JSON.stringify(step)}\n`)))
    .join('')
}
