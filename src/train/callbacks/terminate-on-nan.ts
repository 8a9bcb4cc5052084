import { Cancel, type Callback } from '../fit/callback.ts'

/**
 * Makes a callback that ends the fit when a loss is infinite or NaN. Losses are read with a delay: some more steps have
 * been made by then, which are not recorded.
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
