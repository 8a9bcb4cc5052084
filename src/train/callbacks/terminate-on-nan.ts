import { Cancel, type Callback } from '../fit/callback.ts'

/**
 * Ends the fit when a loss is infinite or not a number. Losses are read late: some steps more have been made by then,
 * and are not written down.
 *
 * Source: fastai callback/core.py, TerminateOnNaNCallback.
 */
export function terminateOnNaN(): Callback {
  let ended = false
  return {
    name: 'terminateOnNaN',
    order: -9,
    beforeFit() {
      ended = false
    },
    lossKnown({ platform }, { iteration, loss }) {
      if (!ended && Number.isFinite(loss)) return
      if (!ended) platform.log(`the loss of step ${iteration} is ${loss}: the fit ends`)
      ended = true
      throw new Cancel('fit', 'a loss is not finite')
    },
  }
}
