import { DataError } from '../../src/base/errors.ts'
import { isRecord, parseRecord } from '../../src/base/json.ts'
import { csvLine } from '../../src/data/csv.ts'
import type { ChannelStats, Decoding } from '../../src/exports/data.ts'
import { wilsonInterval } from '../../src/exports/train.ts'
import {
  epochColumns,
  epochCells,
  type ConfusionResult,
  type EpochResult,
  type FitFigures,
  type StepFigures,
  type TileGroup,
  type WrongTile,
} from '../../src/train/report/figures.ts'

export interface SectionResult {
  readonly name: string
  readonly model: string
  readonly parameters: number
  readonly precision: 'mixed' | 'f32'
  readonly loss: string
  readonly size: number
  readonly batchSize: number
  readonly images: { readonly train: number; readonly valid: number }
  /** Way in which image files became pixels; absent in results from before there was a choice. */
  readonly decoding?: Decoding
  readonly classes: number
  /** Epochs of the section's last fit; for a section that trains nothing (tta), those of the training before it. */
  readonly epochs: readonly EpochResult[]
  readonly ttaAccuracy?: number
  /** Duration of the whole section, including decoding, compiling and the time before an interruption. */
  readonly seconds: number
  /** Largest GPU memory in use at once. */
  readonly gpuMemoryBytes: number
  /** Final accuracy of the notebook's cell, if it gives one. */
  readonly notebook: { readonly accuracy?: number }
}

export interface Results {
  readonly adapter: string
  readonly software: boolean
  readonly precision: 'mixed' | 'f32'
  readonly seed: number
  readonly data: string
  /** True if the images were drawn by `sampleData` and are not Imagenette. */
  readonly isSample: boolean
  readonly profile: 'full' | 'quick'
  readonly command: string
  readonly versions: Readonly<Record<string, string>>
  /** Start of the run, as ISO 8601. */
  readonly started: string
  readonly interrupted: boolean
  readonly sections: readonly SectionResult[]
}

/** Parses the results.json of a run. @throws DataError  naming the file, if it is invalid */
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

/** Figures of one training step, a line of steps.jsonl. */
export interface StepResult extends StepFigures {
  readonly section: string
  /** Number of the fit within its section: larger-images has two. */
  readonly fit: number
}

/** Steps and epochs of one fit of a section. */
export type FitResult = FitFigures<StepResult>

/** Channel statistics of a batch before and after normalization; the same twice without normalization. */
export interface BatchStats {
  readonly before: ChannelStats
  readonly after: ChannelStats
}

/** Details of a section that the report shows beside its results. */
export interface SectionDetails {
  readonly fits: readonly FitResult[]
  /** Statistics of the first training batch. */
  readonly batchStats?: BatchStats
  readonly imageGroups: readonly TileGroup[]
  readonly confusion?: ConfusionResult
  /** Number of outputs of the network. */
  readonly outputs?: number
  readonly mostWrong: readonly WrongTile[]
}

export type ReportedSection = SectionResult & SectionDetails

/** Returns the accuracy of a section, with TTA that of the averaged predictions; NaN if no epoch was finished. */
export function accuracyOf({ epochs, ttaAccuracy }: SectionResult): number {
  return ttaAccuracy ?? epochs.at(-1)?.accuracy ?? NaN
}

/** Returns the interval in which the accuracy of a section lies with 95% confidence, as far as its images tell. */
export function intervalOf(section: SectionResult): readonly [low: number, high: number] {
  const { valid } = section.images
  return wilsonInterval(Math.round((accuracyOf(section) || 0) * valid), valid)
}

/** Returns the accuracy of guessing, and the largest accuracy that chance adds up to (3σ). */
export function guessing({ classes, images }: SectionResult): { readonly accuracy: number; readonly withLuck: number } {
  const accuracy = 1 / classes
  return { accuracy, withLuck: accuracy + 3 * Math.sqrt((accuracy * (1 - accuracy)) / images.valid) }
}

/** Returns true if a section ended with finite losses and a better accuracy than guessing. */
export function hasLearnt(section: SectionResult): boolean {
  const last = section.epochs.at(-1)
  return (
    last !== undefined &&
    Number.isFinite(last.trainLoss) &&
    Number.isFinite(last.validLoss) &&
    accuracyOf(section) >= guessing(section).withLuck
  )
}

/** Formats the epochs of all sections as CSV with all digits, one line per epoch. */
export function historyCsv(sections: readonly ReportedSection[]): string {
  const rows = sections.flatMap(({ name, fits }) =>
    fits.flatMap(({ epochs }, fit) => epochs.map((row) => [name, fit, ...epochCells(row)])),
  )
  return [['section', 'fit', ...epochColumns()], ...rows].map(csvLine).join('')
}

/** Formats the training steps of all sections as JSON, one object per line; NaN becomes null. */
export function stepLines(sections: readonly ReportedSection[]): string {
  return sections
    .flatMap(({ fits }) => fits.flatMap(({ steps }) => steps.map((step) => `${JSON.stringify(step)}\n`)))
    .join('')
}
