import { Cancel, type Callback } from '../fit/callback.ts'
import type { FitState } from '../fit/state.ts'

/**
 * Makes a callback that ends the fit when a loss is infinite or NaN. Losses are read with a delay: some more steps have
 * been made by then, which are not recorded.
 *
 * Source: fastai callback/core.py, TerminateOnNaNCallback.
 */
export function terminateOnNaN(): Callback {
  // Several learners may share one callback.
  const ended = new WeakSet<FitState>()
  return {
    name: 'terminateOnNaN',
    order: -9,
    beforeFit: (state) => void ended.delete(state),
    lossKnown(state, { iteration, loss }) {
      if (!ended.has(state)) {
        if (Number.isFinite(loss)) return
        state.platform.log(`the loss of step ${iteration} is ${loss}: the fit ends`)
        ended.add(state)
      }
      throw new Cancel('fit', 'a loss is not finite')
    },
  }
}
