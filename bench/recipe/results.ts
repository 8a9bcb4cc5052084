import { isRecord, parseRecord } from '../../src/base/json.ts'
import type { EpochRow } from '../../src/exports/train.ts'
import { DataError, nodePlatform } from '../../src/node.ts'
import type { RunFolder } from '../../src/platform/node/run-folder.ts'

export const RESULTS_FILE = 'results.json'

/** Result of one size of images: its last fit, and the accuracy with test-time augmentation. */
export interface Measured {
  readonly rows: readonly EpochRow[]
  readonly tta?: number
}

/** Result of one seed. */
export interface Run extends Measured {
  readonly seed: number
  /** Result of fine-tuning on larger images. */
  readonly then?: Measured
}

/** Reads the results of the finished seeds. */
export async function runsBefore(folder: RunFolder): Promise<Run[]> {
  const file = folder.file(RESULTS_FILE)
  if (!(await nodePlatform.files.exists(file))) return []
  const fix = 'remove it: the seeds are measured anew, from their checkpoints'
  const { runs } = parseRecord(file, await nodePlatform.files.readText(file), fix)
  const isRun = (run: unknown) => isRecord(run) && Number.isInteger(run.seed) && Array.isArray(run.rows)
  if (!Array.isArray(runs) || !runs.every(isRun)) {
    throw new DataError(file, 'a damaged file: its runs are invalid', { fix })
  }
  return runs
}

/** Formats one line per measured quantity: the mean, and each seed. */
export function summary(runs: readonly Run[]): string {
  const columns: readonly (readonly [string, (run: Run) => number | undefined])[] = [
    ['accuracy', ({ rows }) => rows.at(-1)?.metrics.accuracy],
    ['with TTA', (run) => run.tta],
    ['larger images', ({ then }) => then?.rows.at(-1)?.metrics.accuracy],
    ['with TTA', ({ then }) => then?.tta],
  ]
  const lines = columns.map(([title, of]) => {
    const values = runs.map(of).filter((value) => value !== undefined)
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    return values.length === 0
      ? undefined
      : `${title.padEnd(14)} ${mean.toFixed(4)}   ${values.map((value) => value.toFixed(4)).join(' ')}`
  })
  return lines.filter((line) => line !== undefined).join('\n')
}
