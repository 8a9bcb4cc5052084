import { csvLine } from '../../exports/data.ts'
import type { Learner } from '../../node.ts'
import { metricNames } from '../../train/report/charts.ts'
import { epochCells, epochColumns, epochResult, type FitFigures } from '../../train/report/figures.ts'

/** Returns the epochs of the fits of a run, as results and history have them. */
export function epochsOf(fits: Learner['recorder']['fits']): Pick<FitFigures, 'epochs'>[] {
  return fits.map(({ rows }) => ({ epochs: rows.map(epochResult) }))
}

/** Layers that a fit of a run trains: with two fits, the head and then all. */
export function layersOf(fit: number, fineTuned: boolean): 'head' | 'all' {
  return fineTuned && fit === 0 ? 'head' : 'all'
}

/** Formats all epochs as CSV with all digits. */
export function historyCsv(fits: readonly Pick<FitFigures, 'epochs'>[], fineTuned: boolean): string {
  const metrics = metricNames(fits)
  const rows = fits.flatMap(({ epochs }, fit) =>
    epochs.map((row) => [layersOf(fit, fineTuned), ...epochCells(row, metrics)]),
  )
  return [['layers', ...epochColumns(metrics)], ...rows].map(csvLine).join('')
}
