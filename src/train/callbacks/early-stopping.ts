import { requireInteger } from '../../base/check.ts'
import { checkOptions, NUMBER, type Kinds } from '../../base/options.ts'
import { Cancel, type Callback } from '../fit/callback.ts'
import { Tracker, TRACKER_KINDS, type TrackerOptions } from './tracker.ts'

/** Options of `earlyStopping`. */
export interface EarlyStoppingOptions extends TrackerOptions {
  /** Number of consecutive epochs without an improvement after which the fit ends. Default 1 */
  readonly patience?: number
}

const KINDS: Kinds<EarlyStoppingOptions> = { ...TRACKER_KINDS, patience: NUMBER }

/**
 * Makes a callback that ends the fit when a monitored figure has not improved for some epochs.
 *
 * @throws OptionError  if an option is out of range; at the beginning of a fit, if the table of epochs has no such
 *   figure
 * Source: fastai callback/tracker.py, EarlyStoppingCallback.
 */
export function earlyStopping(options: EarlyStoppingOptions = {}): Callback {
  checkOptions('earlyStopping', options, KINDS)
  const { patience = 1 } = options
  requireInteger('earlyStopping', 'patience', patience, { from: 1 })
  const tracker = new Tracker('earlyStopping', options)
  let wait = 0
  return {
    name: 'earlyStopping',
    options: { ...tracker.options, patience },
    order: 63,
    duringLrFind: false,
    beforeFit(state) {
      wait = 0
      tracker.begin(state)
    },
    afterEpoch(state) {
      wait = tracker.improves(state) ? 0 : wait + 1
      if (wait < patience) return
      state.platform.log(`No improvement since epoch ${state.epoch - wait}: early stopping`)
      throw new Cancel('fit', `no improvement for ${wait} epochs`)
    },
    state: () => [tracker.best, wait],
    restore(saved) {
      ;[tracker.best, wait] = saved as [number, number]
    },
  }
}
