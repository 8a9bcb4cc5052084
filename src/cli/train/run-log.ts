import { csvLine } from '../../exports/data.ts'
import type { FitState } from '../../node.ts'
import { FitLog } from '../../train/report/fit-log.ts'
import { metricNames } from '../../train/report/charts.ts'
import { epochCells, epochColumns, type EpochResult, type FitFigures } from '../../train/report/figures.ts'

/** Log of a run's fits that tells of every epoch as it ends. */
export class RunLog extends FitLog {
  override readonly name = 'runLog'
  private readonly tell: (row: EpochResult, fits: readonly FitFigures[]) => Promise<void>

  constructor(tell: (row: EpochResult, fits: readonly FitFigures[]) => Promise<void>) {
    super()
    this.tell = tell
  }

  override async afterEpoch(state: FitState): Promise<void> {
    this.addEpoch(state.recorder.rows.at(-1))
    const row = this.fits.at(-1)?.epochs.at(-1)
    if (row) await this.tell(row, this.fits)
  }
}

/** Layers that a fit of a run trains: with two fits, the head and then all. */
export function layersOf(fit: number, fineTuned: boolean): 'head' | 'all' {
  return fineTuned && fit === 0 ? 'head' : 'all'
}

/** Formats all epochs as CSV with all digits. */
export function historyCsv(fits: readonly FitFigures[], fineTuned: boolean): string {
  const metrics = metricNames(fits)
  const rows = fits.flatMap(({ epochs }, fit) =>
    epochs.map((row) => [layersOf(fit, fineTuned), ...epochCells(row, metrics)]),
  )
  return [['layers', ...epochColumns(metrics)], ...rows].map(csvLine).join('')
}
