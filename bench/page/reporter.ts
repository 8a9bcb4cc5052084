import type { Callback } from 'wgrad'
import type { Part } from './protocol.ts'
import { sessions } from './sessions.ts'
import { tell } from './telling.ts'

/** Time over which the speed is measured. */
const RATE_WINDOW_MS = 4000
/** Shortest time of which a speed is told: losses of several steps are read at once. */
const SHORTEST_MS = 200

/** Reports losses as the GPU finishes their steps, and figures of every epoch. */
export function reporter(part: Part): Callback {
  /** Begin of what is measured, and ends of its steps. */
  let times: number[] = []
  return {
    name: 'page',
    order: 70,
    replayable: true,
    duringLrFind: false,
    beforeFit: (state) => {
      times = []
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
      const elapsedMs = now - times[0]
      const rate =
        elapsedMs < SHORTEST_MS ? undefined : ((times.length - 1) * (session?.batchSize ?? 0) * 1000) / elapsedMs
      tell({ kind: 'step', part, loss, rate })
    },
    beforeEpoch: ({ epoch }) => {
      const now = performance.now()
      const last = times.at(-1) ?? now
      // The first epoch begins with compiling, so its first step has no time of its own: of few steps that is too much.
      if (epoch === 0) times = []
      else if (epoch === 1 && last - times[0] < SHORTEST_MS) times = [now]
      // Validation took no time from training.
      else times = times.map((time) => time + now - last)
    },
    afterEpoch: async (state) => {
      const row = state.recorder.rows.at(-1)
      const session = sessions.get(part)
      if (row === undefined || row.epoch !== state.epoch || !session) return
      const { epoch, trainLoss, validLoss, metrics, imagesPerSecond: rate } = row
      const accuracy = metrics['accuracy']
      session.epochsLeft = Math.max(0, session.epochsLeft - 1)
      const saved = { bytes: await session.learner.saveBytes(), epochsLeft: session.epochsLeft }
      tell({ kind: 'epoch', part, epoch, epochs: state.epochs, trainLoss, validLoss, accuracy, rate, saved })
    },
  }
}
