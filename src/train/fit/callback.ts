import { OptionError } from '../../base/errors.ts'
import type { Json } from '../../base/json.ts'
import { checkArgument, nearest, type Kind } from '../../base/options.ts'
import type { Batch, Targets } from '../../data/batch.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { FitState } from './state.ts'

/** One batch in a training or validation step. Its tensors are released when the step ends. */
export interface Step {
  /** True in a training step, false in a validation step. */
  readonly training: boolean
  readonly batch: Batch
  /** Input of the model, [N,H,W,C]; a callback may replace it before the forward pass. */
  input: Tensor
  /** Targets of the loss; a callback may replace them before the forward pass. */
  targets: Targets
  /** Output of the model, [N,K] f32; `undefined` before the forward pass. */
  outputs: Tensor | undefined
  /**
   * Loss, [] f32 in training and [N] f32 in validation; `undefined` before the loss is computed and for items without
   * labels.
   */
  loss: Tensor | undefined
  /**
   * Gradient that the backward pass starts from, [] f32: the loss scale. A callback may replace it by a fraction of it.
   * `undefined` in validation.
   */
  seed: Tensor | undefined
}

/** Events between steps, in the order of a fit (see `Learner.showTrainingLoop`). Their handlers may be asynchronous. */
export const LOOP_EVENTS = [
  'beforeFit',
  'beforeEpoch',
  'beforeTrain',
  'afterCancelTrain',
  'afterTrain',
  'beforeValidate',
  'afterCancelValidate',
  'afterValidate',
  'afterCancelEpoch',
  'afterEpoch',
  'afterCancelFit',
  'afterFit',
] as const

/** Events within a step, while GPU work is being recorded. Their handlers must be synchronous. */
export const STEP_EVENTS = [
  'beforeBatch',
  'afterPrediction',
  'afterLoss',
  'beforeBackward',
  'afterCancelBackward',
  'afterBackward',
  'beforeStep',
  'afterCancelStep',
  'afterStep',
  'afterCancelBatch',
  'afterBatch',
] as const

/** Name of an event between steps. */
export type LoopEvent = (typeof LOOP_EVENTS)[number]
/** Name of an event within a step. */
export type StepEvent = (typeof STEP_EVENTS)[number]

/** Loss of one training step, available a few steps later, when it has been read from the GPU. */
export interface StepLoss {
  /** Number of training steps of this fit before this one. */
  readonly iteration: number
  readonly loss: number
  /** State of loss scaling after the step; present only in mixed precision. */
  readonly scaling?: LossScaling
}

/**
 * Smallest loss scale at which training goes on; below it, gradients overflow whatever the scale. Source: the default
 * of fairseq's --min-loss-scale.
 */
export const SMALLEST_LOSS_SCALE = 1e-4

/** State of loss scaling in mixed precision at the end of a training step. */
export interface LossScaling {
  readonly lossScale: number
  /** Number of steps of this fit skipped so far because their gradients overflowed. */
  readonly skippedSteps: number
}

/**
 * Extension of the training loop: a name and handlers for some of its events. Handlers of one event run in the order of
 * `order`; callbacks with equal `order` run in the order in which they were given.
 *
 * Source: fastai callback/core.py, Callback and event.
 */
export interface Callback
  extends
    Partial<Readonly<Record<LoopEvent, (state: FitState) => void | Promise<void>>>>,
    Partial<Readonly<Record<StepEvent, (state: FitState, step: Step) => void>>> {
  readonly name: string
  /**
   * Position among the callbacks, lowest first. As in fastai: mixup 0, gradient accumulation 6, gradient clip 11,
   * recorder 50, schedules and progress 60.
   */
  readonly order: number
  /** Runs before each step is recorded or replayed; uploads the values that this step computes with. */
  readonly prepareBatch?: (state: FitState, batch: Batch) => void
  /**
   * True if the handlers within a step launch the same work every time and write nothing, so that a recorded step can
   * be replayed without calling them (`afterBatch` is always called). Default false: then no step is replayed. A copy
   * of a built-in callback with other handlers, such as `{ ...mixUp(), beforeBackward }`, loses the mark and must set
   * it again.
   */
  readonly replayable?: boolean
  /** Kind of batch for which the handlers within a step run. Default both */
  readonly runsOn?: 'train' | 'valid' | 'both'
  /** Runs when a fit begins, before kernels are chosen and anything is computed. */
  readonly preparing?: (state: FitState) => void
  /** Runs once, when the learner is made. */
  readonly afterCreate?: (state: FitState) => void
  /** Runs for every training step, in order, when its loss has been read from the GPU. */
  readonly lossKnown?: (state: FitState, known: StepLoss) => void
  /** True if the callback also takes part in a learning rate search (`lrFind`). Default true */
  readonly duringLrFind?: boolean
  /**
   * Options that affect the trained weights: a fit can be resumed only with the same ones (see
   * train/files/fit-description.ts). Default none
   */
  readonly options?: Json
  /** Returns the state to store in a checkpoint. */
  readonly state?: () => Json
  /** Restores a state that `state` returned, after `beforeFit`. */
  readonly restore?: (saved: Json, state: FitState) => void | Promise<void>
}

/**
 * Part of a fit that a callback can cancel: the rest of it is skipped, then its `afterCancel…` and `after…` handlers
 * run.
 */
export type Level = 'fit' | 'epoch' | 'train' | 'validate' | 'batch' | 'backward' | 'step'

/**
 * Error that a callback throws to cancel the current part of the fit at a level: `throw new Cancel('epoch')`.
 * Cancelling a step skips the update of the optimizer but clears the gradients; cancelling a batch keeps the gradients.
 */
export class Cancel extends Error {
  readonly level: Level

  constructor(level: Level, reason = 'a callback asked for it') {
    super(`the ${level} was cancelled: ${reason}`)
    this.name = 'Cancel'
    this.level = level
  }
}

/**
 * Error of an operation with a result, such as predictions or a search, that the user stopped by `learner.interrupt()`
 * or Ctrl-C. A fit that is stopped ends without an error.
 */
export class Interrupted extends Cancel {
  constructor() {
    super('fit')
    this.name = 'Interrupted'
    this.message = 'interrupted before there was a result'
  }
}

/** Check of a callback. NaN as its order would leave that of all of them to chance. */
const CALLBACK: Kind = {
  expected: 'a callback, such as mixUp(), with a name and an order',
  is: (value) =>
    typeof (value as Callback | undefined)?.name === 'string' && Number.isFinite((value as Callback).order),
}

/**
 * @throws OptionError  if a handler has the form of an event name but no such event exists, so that it would never run
 */
function checkEvents(callback: Callback): void {
  const known: readonly string[] = ['afterCreate', 'prepareBatch', ...LOOP_EVENTS, ...STEP_EVENTS]
  const prototype = Object.getPrototypeOf(callback) as object
  const names = [
    ...Object.keys(callback),
    ...(prototype === Object.prototype ? [] : Object.getOwnPropertyNames(prototype)),
  ]
  const unknown = names.find((name) => /^(before|after|on)[A-Z_]/.test(name) && !known.includes(name))
  if (unknown === undefined) return
  const near = nearest(unknown, known)
  throw new OptionError(`callback ${callback.name}`, `there is no event '${unknown}'`, {
    expected: known.join(', '),
    fix: near && `call it ${near}`,
  })
}

/**
 * Returns the callbacks sorted by `order`; the sort is stable.
 *
 * @throws OptionError  if an item is not a callback or has a handler for an event that does not exist
 */
export function sortCallbacks(callbacks: readonly Callback[]): Callback[] {
  for (const callback of callbacks) {
    checkArgument('callbacks', 'an item', callback, CALLBACK)
    checkEvents(callback)
  }
  return [...callbacks].sort((a, b) => a.order - b.order)
}

/**
 * Returns true if a callback's handlers within a step run for a batch of this kind.
 *
 * @param training  true for a training batch, false for a validation batch
 */
export function hears({ runsOn = 'both' }: Callback, training: boolean): boolean {
  return runsOn === 'both' || runsOn === (training ? 'train' : 'valid')
}
