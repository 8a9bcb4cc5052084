import { formatClock } from '../../base/format.ts'
import type { EpochRow } from './history.ts'
import { BEFORE, SCALING, TIME } from './own-columns.ts'
import type { FitState } from './state.ts'

/**
 * Returns the names of the columns of the table of epochs; in mixed precision also `skipped` and `scale`.
 *
 * Source: fastai learner.py, Recorder.metric_names.
 */
export function columnNames({ metrics, precision }: Pick<FitState, 'metrics' | 'precision'>): string[] {
  return [...BEFORE, ...metrics.map(({ name }) => name), ...(precision === 'mixed' ? SCALING : []), TIME]
}

/**
 * Returns the cells of one row of the table of epochs as text: losses and metrics with six decimal places, the time as
 * mm:ss.
 */
export function cells({ epoch, trainLoss, validLoss, metrics, timeMs, skippedSteps, lossScale }: EpochRow): string[] {
  const values = [trainLoss, validLoss, ...Object.values(metrics)]
  const scaling =
    skippedSteps === undefined || lossScale === undefined ? [] : [String(skippedSteps), scaleText(lossScale)]
  return [String(epoch), ...values.map((value) => value.toFixed(6)), ...scaling, formatClock(timeMs)]
}

/** Formats a power of two in at most eight characters: `65536`, `6.10e-5`. */
function scaleText(scale: number): string {
  const text = String(scale)
  return text.length <= 8 ? text : scale.toExponential(2)
}

/**
 * Formats one line of the table of epochs for a terminal: each column is as wide as its name and at least eight
 * characters.
 *
 * Source: fastprogress, ConsoleMasterBar.write.
 */
export function tableLine(names: readonly string[], line: readonly string[]): string {
  return line
    .map((cell, i) => cell.padEnd(Math.max(8, names[i].length)))
    .join('  ')
    .trimEnd()
}
