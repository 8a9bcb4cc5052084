import { requireNumber } from '../../base/check.ts'
import { OptionError } from '../../base/errors.ts'
import { FLAG, NUMBER, TEXT, type Kinds } from '../../base/options.ts'
import type { FitState } from '../fit/state.ts'
import type { EpochRow } from '../fit/history.ts'

/** Which figure of the epochs is watched, and what is better. */
export interface TrackerOptions {
  /** A column of the table: train_loss, valid_loss or the name of a metric. Default valid_loss */
  readonly monitor?: string
  /** Default: less for what has 'loss' or 'error' in its name, greater else */
  readonly better?: 'less' | 'greater'
  /** By how much it has to be better. Default 0 */
  readonly minDelta?: number
  /** Every fit begins without a best. Default true */
  readonly resetOnFit?: boolean
}

export const TRACKER_KINDS: Kinds<TrackerOptions> = {
  monitor: TEXT,
  better: { expected: "'less' or 'greater'", is: (value) => value === 'less' || value === 'greater' },
  minDelta: NUMBER,
  resetOnFit: FLAG,
}

/**
 * Watches one figure of the epochs for its best value.
 *
 * Source: fastai callback/tracker.py, TrackerCallback.
 */
export class Tracker {
  readonly monitor: string
  /** Infinitely bad before the first epoch. */
  best: number
  private readonly sign: 1 | -1
  private readonly minDelta: number
  private readonly resetOnFit: boolean
  private readonly where: string

  /** @param where  the name in errors */
  constructor(where: string, { monitor = 'valid_loss', better, minDelta = 0, resetOnFit = true }: TrackerOptions) {
    requireNumber(where, 'minDelta', minDelta, { from: 0 })
    this.where = where
    this.monitor = monitor
    this.sign = (better ?? (/loss|error/.test(monitor) ? 'less' : 'greater')) === 'less' ? -1 : 1
    this.best = -this.sign * Infinity
    this.minDelta = minDelta
    this.resetOnFit = resetOnFit
  }

  /** All options, defaults too. */
  get options(): Required<TrackerOptions> {
    const { monitor, sign, minDelta, resetOnFit } = this
    return { monitor, better: sign < 0 ? 'less' : 'greater', minDelta, resetOnFit }
  }

  /** At the beginning of a fit. @throws OptionError when the table has no such column */
  begin({ metrics }: FitState): void {
    const columns = ['train_loss', 'valid_loss', ...metrics.map(({ name }) => name)]
    if (!columns.includes(this.monitor)) {
      throw new OptionError(this.where, `there is no figure '${this.monitor}' to watch`, {
        expected: columns.join(', '),
      })
    }
    if (this.resetOnFit) this.best = -this.sign * Infinity
  }

  /** At the end of an epoch. @returns whether it is the best so far */
  improves({ recorder }: FitState): boolean {
    const value = valueOf(recorder.rows.at(-1), this.monitor)
    // Of a NaN it is false.
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
