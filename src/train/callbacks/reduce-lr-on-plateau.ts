import { requireInteger, requireNumber } from '../../base/check.ts'
import { checkOptions, NUMBER, type Kinds } from '../../base/options.ts'
import type { Callback } from '../fit/callback.ts'
import { Tracker, TRACKER_KINDS, type TrackerOptions } from './tracker.ts'

export interface ReduceLrOnPlateauOptions extends TrackerOptions {
  /** Epochs in a row without an improvement that reduce the learning rate. Default 1 */
  readonly patience?: number
  /** What it is divided by. Default 10 */
  readonly factor?: number
  /** It does not go below. Default 0 */
  readonly minLr?: number
}

const KINDS: Kinds<ReduceLrOnPlateauOptions> = { ...TRACKER_KINDS, patience: NUMBER, factor: NUMBER, minLr: NUMBER }

/**
 * Divides the learning rates when a figure has not improved for some epochs. For `fit`: where a schedule sets the
 * learning rate before every batch, nothing is left of it.
 *
 * @throws OptionError  when an option is out of range, and at the beginning of a fit whose table lacks the figure
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
      const after = before.map((lr) => Math.max(lr / factor, minLr))
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
