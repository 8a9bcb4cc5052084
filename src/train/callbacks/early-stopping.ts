import { requireInteger } from '../../base/check.ts'
import { checkOptions, NUMBER, type Kinds } from '../../base/options.ts'
import { Cancel, type Callback } from '../fit/callback.ts'
import { Tracker, TRACKER_KINDS, type TrackerOptions } from './tracker.ts'

export interface EarlyStoppingOptions extends TrackerOptions {
  /** Epochs in a row without an improvement that end the fit. Default 1 */
  readonly patience?: number
}

const KINDS: Kinds<EarlyStoppingOptions> = { ...TRACKER_KINDS, patience: NUMBER }

/**
 * Ends the fit when a figure has not improved for some epochs.
 *
 * @throws OptionError  when an option is out of range, and at the beginning of a fit whose table lacks the figure
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
