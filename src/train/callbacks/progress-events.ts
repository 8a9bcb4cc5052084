import { checkArgument, checkOptions, FUNCTION, NUMBER } from '../../base/options.ts'
import type { Callback } from '../fit/callback.ts'
import type { EpochRow } from '../fit/history.ts'
import { replayable } from '../fit/replayable.ts'
import type { FitState } from '../fit/state.ts'

/**
 * State of a fit for a display: plain numbers and texts, which can be posted from a Worker to its page. Only what the GPU
 * has finished is counted.
 */
export interface FitProgress {
  /** `prepare` until the first batch, while kernels are chosen and compiled; `end` once, when the fit is over. */
  readonly phase: 'prepare' | 'train' | 'validate' | 'end'
  /** Number of the epoch, from 1 to `epochs`. */
  readonly epoch: number
  readonly epochs: number
  /** Batches of this phase that are finished. */
  readonly batch: number
  /** Batches of this phase. */
  readonly batches: number
  /** Training steps of the fit that are finished. */
  readonly step: number
  /** Loss of the last finished training step; absent before the first. */
  readonly loss?: number
  /** Exponentially smoothed loss, as the table of epochs shows it; absent before the first step is finished. */
  readonly smoothLoss?: number
  /** Images per second of the last seconds of this phase; absent until batches are finished. */
  readonly imagesPerSecond?: number
  /** Estimate of the time that this phase still takes; absent until batches are finished. */
  readonly remainingMs?: number
  /** Row of the table of epochs, with the event that ends an epoch. */
  readonly row?: EpochRow
  /** True if the user stopped the fit. */
  readonly interrupted: boolean
}

/** Options of `progressEvents`. */
export interface ProgressEventsOptions {
  /** Shortest interval between two events of one phase, in milliseconds. Default 100 */
  readonly everyMs?: number
}

/** Time over which the speed is averaged. */
const WINDOW_MS = 5000
const EVERY_MS = 100

/**
 * Makes a callback that reports the progress of a fit to a function: at each change of phase, after each epoch, and between
 * at most every `everyMs`.
 *
 *   const callbacks = [progressEvents((progress) => postMessage(progress))]
 */
export function progressEvents(
  listener: (progress: FitProgress) => void,
  options: ProgressEventsOptions = {},
): Callback {
  checkArgument('progressEvents', 'listener', listener, FUNCTION)
  checkOptions('progressEvents', options, { everyMs: NUMBER })
  const { everyMs = EVERY_MS } = options
  let phase: FitProgress['phase'] = 'prepare'
  let lastMs = 0
  let loss: number | undefined
  let step = 0
  /** Times at which numbers of batches were finished, the oldest first. */
  let seen: { readonly ms: number; readonly batch: number }[] = []

  const say = (
    state: FitState,
    {
      batch = state.completed,
      batches = state.batchCount,
      row,
    }: Partial<Pick<FitProgress, 'batch' | 'batches' | 'row'>> = {},
  ): void => {
    const { epoch, epochs, recorder, interrupted, loaders, platform } = state
    lastMs = platform.now()
    const [first] = seen
    const perMs = first && batch > first.batch ? (batch - first.batch) / (lastMs - first.ms) : undefined
    listener({
      phase,
      epoch: Math.min(epoch + 1, Math.max(1, epochs)),
      epochs,
      batch,
      batches,
      step,
      ...(loss === undefined ? {} : { loss, smoothLoss: recorder.smoothLoss }),
      ...(perMs === undefined || !Number.isFinite(perMs)
        ? {}
        : {
            imagesPerSecond: perMs * loaders.batchSize * 1000,
            remainingMs: (batches - batch) / perMs,
          }),
      ...(row && { row }),
      interrupted,
    })
  }
  const begin = (next: FitProgress['phase'], state: FitState, batches = 0): void => {
    phase = next
    seen = batches > 0 ? [{ ms: state.platform.now(), batch: 0 }] : []
    say(state, { batch: 0, batches })
  }
  const maybeSay = (state: FitState): void => {
    if (state.evaluating) return
    const ms = state.platform.now()
    if (state.completed > (seen.at(-1)?.batch ?? 0)) {
      seen.push({ ms, batch: state.completed })
      while (seen.length > 2 && seen[1].ms < ms - WINDOW_MS) seen.shift()
    }
    if (ms - lastMs >= everyMs) say(state)
  }
  return replayable({
    name: 'progressEvents',
    // After the recorder, whose figures it reports.
    order: 60,
    duringLrFind: false,
    preparing(state) {
      loss = undefined
      step = 0
      begin('prepare', state)
    },
    beforeTrain: (state) => begin('train', state, state.loaders.train.batchCount),
    beforeValidate: (state) => begin('validate', state, state.loaders.valid.batchCount),
    lossKnown(_state, known) {
      loss = known.loss
      step = known.iteration + 1
    },
    afterBatch: maybeSay,
    afterEpoch(state) {
      const row = state.recorder.rows.at(-1)
      if (row) say(state, { row })
    },
    afterFit: (state) => begin('end', state),
  })
}
