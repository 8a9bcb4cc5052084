import { requireNumber } from '../../base/check.ts'
import { OptionError } from '../../base/errors.ts'
import { FLAG, NUMBER, oneOfTexts, TEXT, type Kinds } from '../../base/options.ts'
import type { FitState } from '../fit/state.ts'
import type { EpochRow } from '../fit/history.ts'

/** Options of callbacks that monitor one figure of the table of epochs. */
export interface TrackerOptions {
  /** Column of the table of epochs: train_loss, valid_loss or the name of a metric. Default valid_loss */
  readonly monitor?: string
  /**
   * Direction of an improvement. Default: 'less' for `mae`, `mse`, `rmse` and names that contain 'loss' or 'error', otherwise
   * 'greater', which is fastai's default for the three as well
   */
  readonly better?: 'less' | 'greater'
  /** Smallest change that counts as an improvement. Default 0 */
  readonly minDelta?: number
  /** True to forget the best value at the beginning of every fit. Default true */
  readonly resetOnFit?: boolean
}

/** Checks of the options of callbacks that monitor a figure. */
export const TRACKER_KINDS: Kinds<TrackerOptions> = {
  monitor: TEXT,
  better: oneOfTexts('less', 'greater'),
  minDelta: NUMBER,
  resetOnFit: FLAG,
}

/**
 * Best value of one figure of the table of epochs.
 *
 * Source: fastai callback/tracker.py, TrackerCallback.
 */
export class Tracker {
  /** Column of the table of epochs that is monitored. */
  readonly monitor: string
  /** Best value so far; infinitely bad before the first epoch. */
  best: number
  private readonly sign: 1 | -1
  private readonly minDelta: number
  private readonly resetOnFit: boolean
  private readonly where: string

  /** @param where  name of the callback in errors */
  constructor(where: string, { monitor = 'valid_loss', better, minDelta = 0, resetOnFit = true }: TrackerOptions) {
    requireNumber(where, 'minDelta', minDelta, { from: 0 })
    this.where = where
    this.monitor = monitor
    this.sign = (better ?? (/loss|error|^(mae|r?mse)$/.test(monitor) ? 'less' : 'greater')) === 'less' ? -1 : 1
    this.best = -this.sign * Infinity
    this.minDelta = minDelta
    this.resetOnFit = resetOnFit
  }

  /** All options, with defaults filled in. */
  get options(): Required<TrackerOptions> {
    const { monitor, sign, minDelta, resetOnFit } = this
    return { monitor, better: sign < 0 ? 'less' : 'greater', minDelta, resetOnFit }
  }

  /** Prepares for a fit; call it in `beforeFit`. @throws OptionError  if the table of epochs has no such column */
  begin({ metrics }: FitState): void {
    const columns = ['train_loss', 'valid_loss', ...metrics.map(({ name }) => name)]
    if (!columns.includes(this.monitor)) {
      throw new OptionError(this.where, `there is no figure '${this.monitor}' to monitor`, {
        expected: columns.join(', '),
      })
    }
    if (this.resetOnFit) this.best = -this.sign * Infinity
  }

  /**
   * Takes the figure of the epoch that has ended into account; call it in `afterEpoch`.
   *
   * @returns true if the figure is the best so far
   */
  improves({ recorder }: FitState): boolean {
    const value = valueOf(recorder.rows.at(-1), this.monitor)
    // The comparison is false for NaN.
    const improved = this.sign * value - this.minDelta > this.sign * this.best
    if (improved) this.best = value
    return improved
  }
}

function valueOf(row: EpochRow | undefined, monitor: string): number {
  if (monitor === 'train_loss') return row?.trainLoss ?? NaN
  if (monitor === 'valid_loss') return row?.validLoss ?? NaN
  return row?.metrics[monitor] ?? NaN
}
