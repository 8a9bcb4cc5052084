import { OptionError } from '../../base/errors.ts'
import { ignoreRejection } from '../../base/options.ts'
import type { Batch } from '../../data/batch.ts'
import { Cancel, hears, type Callback, type LoopEvent, type Step, type StepEvent, type StepLoss } from './callback.ts'
import type { FitState } from './state.ts'

/** State of a fit together with the callbacks that its events reach, sorted by order. */
export interface RunningFit extends FitState {
  readonly callbacks: readonly Callback[]
  /** True if training steps that are all alike are encoded again from a recording (see fit/replay.ts). */
  readonly replay: boolean
}

/** Events of each part of the loop: before it, after its cancellation, and after it in either case. */
const LOOP_PARTS = {
  fit: ['beforeFit', 'afterCancelFit', 'afterFit'],
  epoch: ['beforeEpoch', 'afterCancelEpoch', 'afterEpoch'],
  train: ['beforeTrain', 'afterCancelTrain', 'afterTrain'],
  validate: ['beforeValidate', 'afterCancelValidate', 'afterValidate'],
} as const
const STEP_PARTS = {
  batch: ['beforeBatch', 'afterCancelBatch', 'afterBatch'],
  backward: ['beforeBackward', 'afterCancelBackward', 'afterBackward'],
  step: ['beforeStep', 'afterCancelStep', 'afterStep'],
} as const

/** Calls the handlers of an event between steps, one after the other, and waits for each. */
export async function announce(state: RunningFit, event: LoopEvent): Promise<void> {
  for (const callback of state.callbacks) {
    if (callback[event]) await state.occupancy.pauses(() => callback[event]?.(state))
  }
}

/**
 * Calls the handlers of an event within a step, for callbacks that run on this kind of batch.
 *
 * @throws OptionError  if a handler returns a promise
 */
export function announceStep(state: RunningFit, event: StepEvent, step: Step): void {
  for (const callback of state.callbacks) {
    if (hears(callback, step.training)) requireDone(callback, event, callback[event]?.(state, step))
  }
}

/** Calls `prepareBatch` of the callbacks that run on this kind of batch. @throws  as `announceStep` */
export function announceBatch(state: RunningFit, batch: Batch, training: boolean): void {
  for (const callback of state.callbacks) {
    if (hears(callback, training)) requireDone(callback, 'prepareBatch', callback.prepareBatch?.(state, batch))
  }
}

/** Calls `lossKnown` of every callback for losses that have been read from the GPU. @throws  as `announceStep` */
export function announceLosses(state: RunningFit, losses: readonly StepLoss[]): void {
  for (const known of losses) {
    for (const callback of state.callbacks) requireDone(callback, 'lossKnown', callback.lossKnown?.(state, known))
  }
}

/**
 * Requires a handler that nothing waits for to have done its work.
 *
 * @param said  what it returned
 * @throws OptionError  if that is a promise
 */
export function requireDone({ name }: Callback, event: string, said: unknown): void {
  if (!ignoreRejection(said)) return
  throw new OptionError(`callback ${name}`, `${event} is async, but nothing waits for it`, {
    fix: 'move that to an event between steps, such as afterEpoch',
  })
}

/** Runs a part of the loop and the events around it. Source: fastai learner.py, Learner._with_events. */
export async function within(
  state: RunningFit,
  part: keyof typeof LOOP_PARTS,
  work: () => Promise<void>,
): Promise<void> {
  const [before, afterCancel, after] = LOOP_PARTS[part]
  try {
    await announce(state, before)
    await work()
  } catch (error) {
    if (!(error instanceof Cancel && error.level === part)) throw error
    await announce(state, afterCancel)
  }
  await announce(state, after)
}

/** Runs a part of a step and the events around it; the synchronous counterpart of `within`. */
export function withinStep(state: RunningFit, part: keyof typeof STEP_PARTS, step: Step, work: () => void): void {
  attempt(state, part, step, work)
  announceStep(state, STEP_PARTS[part][2], step)
}

/**
 * Runs a part of a step with the events before it and after its cancellation, without the event that ends it.
 *
 * @returns  false if the part was cancelled
 */
export function attempt(state: RunningFit, part: keyof typeof STEP_PARTS, step: Step, work: () => void): boolean {
  const [before, afterCancel] = STEP_PARTS[part]
  try {
    announceStep(state, before, step)
    work()
    return true
  } catch (error) {
    if (!(error instanceof Cancel && error.level === part)) throw error
    announceStep(state, afterCancel, step)
    return false
  }
}
