import { formatClock } from '../../base/format.ts'
import type { EpochRow } from './history.ts'
import type { FitState } from './state.ts'

/** In mixed precision also what was skipped, and the loss scale. Source: fastai learner.py, Recorder.metric_names. */
export function columnNames({ metrics, precision }: Pick<FitState, 'metrics' | 'precision'>): string[] {
  const scaling = precision === 'mixed' ? ['skipped', 'scale'] : []
  return ['epoch', 'train_loss', 'valid_loss', ...metrics.map(({ name }) => name), ...scaling, 'time']
}

/** A row as its texts: six digits, time as mm:ss. */
export function cells({ epoch, trainLoss, validLoss, metrics, timeMs, skippedSteps, lossScale }: EpochRow): string[] {
  const values = [trainLoss, validLoss, ...Object.values(metrics)]
  const scaling =
    skippedSteps === undefined || lossScale === undefined ? [] : [String(skippedSteps), scaleText(lossScale)]
  return [String(epoch), ...values.map((value) => value.toFixed(6)), ...scaling, formatClock(timeMs)]
}

/** A power of two in at most eight characters: `65536`, `6.10e-5`. */
function scaleText(scale: number): string {
  const text = String(scale)
  return text.length <= 8 ? text : scale.toExponential(2)
}

/**
 * A line of the table in a terminal: columns of eight characters, or as wide as their name.
 *
 * Source: fastprogress, ConsoleMasterBar.write.
 */
export function tableLine(names: readonly string[], line: readonly string[]): string {
  return line
    .map((cell, i) => cell.padEnd(Math.max(8, names[i].length)))
    .join('  ')
    .trimEnd()
}
