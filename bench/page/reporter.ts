import type { Callback } from 'wgrad'
import type { Part } from './protocol.ts'
import { sessions } from './sessions.ts'
import { tell } from './telling.ts'

/** Time over which the speed is measured. */
const RATE_WINDOW_MS = 4000

/**
 * Reports losses as the GPU finishes their steps, and figures of every epoch.
 *
 * @param stopped  true once Stop was pressed, which may be before the fit begins
 */
export function reporter(part: Part, stopped: () => boolean): Callback {
  let times: number[] = []
  return {
    name: 'page',
    order: 70,
    replayable: true,
    duringLrFind: false,
    beforeFit: (state) => {
      times = []
      if (stopped()) state.interrupt()
      const steps = state.loaders.train.batchCount * state.epochs
      tell({ kind: 'planned', part, steps, epochs: state.epochs })
    },
    lossKnown: (_state, { loss }) => {
      const session = sessions.get(part)
      if (session?.fresh) {
        session.fresh = false
        tell({ kind: 'phase', part, phase: 'training', text: 'Training' })
      }
      // Steps that are done, over the last few seconds: work that was only handed over is no speed.
      const now = performance.now()
      times.push(now)
      while (times.length > 4 && now - times[0] > RATE_WINDOW_MS) times.shift()
      const seconds = (now - times[0]) / 1000
      const rate = seconds > 0 ? ((times.length - 1) * (session?.batchSize ?? 0)) / seconds : undefined
      tell({ kind: 'step', part, loss, rate })
    },
    beforeEpoch: () => void (times = []),
    afterEpoch: (state) => {
      const row = state.recorder.rows.at(-1)
      const session = sessions.get(part)
      if (row === undefined || row.epoch !== state.epoch) return
      if (session) session.epochsLeft = Math.max(0, session.epochsLeft - 1)
      const { epoch, trainLoss, validLoss, metrics } = row
      tell({ kind: 'epoch', part, epoch, epochs: state.epochs, trainLoss, validLoss, accuracy: metrics['accuracy'] })
    },
  }
}
