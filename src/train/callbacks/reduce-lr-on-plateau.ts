import { requireInteger, requireNumber } from '../../base/check.ts'
import { checkOptions, NUMBER, type Kinds } from '../../base/options.ts'
import type { Callback } from '../fit/callback.ts'
import { Tracker, TRACKER_KINDS, type TrackerOptions } from './tracker.ts'

/** Options of `reduceLrOnPlateau`. */
export interface ReduceLrOnPlateauOptions extends TrackerOptions {
  /** Number of consecutive epochs without an improvement after which the learning rate is reduced. Default 1 */
  readonly patience?: number
  /** Divisor of the learning rate, above 1. Default 10 */
  readonly factor?: number
  /** Lower bound of a reduction; a learning rate that is below it already stays as it is. Default 0 */
  readonly minLr?: number
}

const KINDS: Kinds<ReduceLrOnPlateauOptions> = { ...TRACKER_KINDS, patience: NUMBER, factor: NUMBER, minLr: NUMBER }

/**
 * Makes a callback that divides the learning rates when a monitored figure has not improved for some epochs. It works
 * with `fit` only and is refused elsewhere: a schedule sets the learning rate anew before every batch.
 *
 * @throws OptionError  if an option is out of range; at the beginning of a fit, if the table of epochs has no such
 *   figure
 * Source: fastai callback/tracker.py, ReduceLROnPlateau.
 */
export function reduceLrOnPlateau(options: ReduceLrOnPlateauOptions = {}): Callback {
  checkOptions('reduceLrOnPlateau', options, KINDS)
  const { patience = 1, factor = 10, minLr = 0 } = options
  requireInteger('reduceLrOnPlateau', 'patience', patience, { from: 1 })
  requireNumber('reduceLrOnPlateau', 'factor', factor, { above: 1 })
  requireNumber('reduceLrOnPlateau', 'minLr', minLr, { from: 0 })
  const tracker = new Tracker('reduceLrOnPlateau', options)
  let wait = 0
  return {
    name: 'reduceLrOnPlateau',
    options: { ...tracker.options, patience, factor, minLr },
    order: 62,
    duringLrFind: false,
    beforeFit(state) {
      wait = 0
      tracker.begin(state)
    },
    afterEpoch(state) {
      const { optimizer, platform, epoch } = state
      wait = tracker.improves(state) ? 0 : wait + 1
      if (wait < patience || !optimizer) return
      wait = 0
      const before = optimizer.hyperparameters.map(({ lr }) => lr)
      const after = before.map((lr) => Math.min(lr, Math.max(lr / factor, minLr)))
      optimizer.setHyperparameters(after.map((lr) => ({ lr })))
      const last = after.length - 1
      if (after[last] < before[last]) platform.log(`Epoch ${epoch}: reducing lr to ${after[last]}`)
    },
    state: () => [tracker.best, wait],
    restore(saved) {
      ;[tracker.best, wait] = saved as [number, number]
    },
  }
}
