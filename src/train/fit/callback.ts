import { OptionError } from '../../base/errors.ts'
import type { Json } from '../../base/json.ts'
import { nearest } from '../../base/options.ts'
import type { Batch, Targets } from '../../data/batch.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { FitState } from './state.ts'

/** A batch on its way through a training or validation step. Its tensors end with the step. */
export interface Step {
  readonly training: boolean
  readonly batch: Batch
  /** What the model will see, [N,H,W,3]; a callback may put another in its place before the forward pass. */
  input: Tensor
  /** What the loss will compare with; likewise. */
  targets: Targets
  /** [N,K] f32, after the forward pass. */
  outputs: Tensor | undefined
  /** [] f32 in training, [N] f32 in validation, after the loss, which there is none of where labels are not known. */
  loss: Tensor | undefined
  /** [] f32, in training: what backward begins with, the loss scale; a callback may put a part of it in its place. */
  seed: Tensor | undefined
}

/** Events between steps: a callback may wait for something. In the order of a fit; see `Learner.showTrainingLoop`. */
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

/** Events within a step, while GPU work is being recorded: nothing can be waited for. */
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

export type LoopEvent = (typeof LOOP_EVENTS)[number]
export type StepEvent = (typeof STEP_EVENTS)[number]

/** The loss of a training step, once it has been read from the GPU, some steps after it happened. */
export interface StepLoss {
  /** Training steps of this fit before it. */
  readonly iteration: number
  readonly loss: number
  /** In mixed precision. */
  readonly scaling?: LossScaling
}

/** A loss scale below this says that nothing can be learnt in f16. Source: fairseq's --min-loss-scale, its default. */
export const SMALLEST_LOSS_SCALE = 1e-4

/** How mixed precision went until a training step had ended. */
export interface LossScaling {
  readonly lossScale: number
  /** Steps of this fit that were left out so far, as their gradients overflowed. */
  readonly skippedSteps: number
}

/**
 * What else happens around training: a part with a name and handlers for the events it cares about. Handlers of an
 * event run by `order`, those of one order as they were given.
 *
 * Source: fastai callback/core.py, Callback and event.
 */
export interface Callback
  extends
    Partial<Readonly<Record<LoopEvent, (state: FitState) => void | Promise<void>>>>,
    Partial<Readonly<Record<StepEvent, (state: FitState, step: Step) => void>>> {
  readonly name: string
  /** fastai's: mixup 0, gradient accumulation 6, gradient clip 11, recorder 50, schedules and progress 60. */
  readonly order: number
  /** Before anything of a step is recorded, also where the step is replayed: writes what this step computes with. */
  readonly prepareBatch?: (state: FitState, batch: Batch) => void
  /**
   * Its handlers within a step launch the same every time and write nothing, so that a step recorded once can be
   * replayed without calling them (`afterBatch` is always called). Default false: then steps are not replayed. Copies
   * of built-in callbacks, `{ ...mixUp(), beforeBackward }`, have code of their own and say it again.
   */
  readonly replayable?: boolean
  /** Which batches it is told of. Default both */
  readonly runsOn?: 'train' | 'valid' | 'both'
  /** Once, when the learner is made. */
  readonly afterCreate?: (state: FitState) => void
  /** For every training step, in order, when its loss becomes known. */
  readonly lossKnown?: (state: FitState, known: StepLoss) => void
  /** Whether it also hears of a search for a learning rate (`lrFind`). Default true */
  readonly duringLrFind?: boolean
  /** Options that change what is learnt: a fit is only continued with the same (see train/files/fit-description.ts). Default none */
  readonly options?: Json
  /** What it has to know of the epochs before when a fit goes on from a checkpoint. */
  readonly state?: () => Json
  /** Takes over what `state` gave, after `beforeFit`. */
  readonly restore?: (saved: Json, state: FitState) => void | Promise<void>
}

/** What can be ended early: the rest of it is left out, its `afterCancel…` and `after…` handlers run. */
export type Level = 'fit' | 'epoch' | 'train' | 'validate' | 'batch' | 'backward' | 'step'

/**
 * Thrown by a callback to end what is going on at that level: `throw new Cancel('epoch')`. The end of a step leaves out
 * the optimizer's step; gradients are cleared all the same. The end of a batch leaves them.
 */
export class Cancel extends Error {
  readonly level: Level

  constructor(level: Level, reason = 'a callback asked for it') {
    super(`the ${level} was cancelled: ${reason}`)
    this.name = 'Cancel'
    this.level = level
  }
}

/** The user asked to stop, `learner.interrupt()` or Ctrl-C, what was to have a result: predictions, a search. A fit just ends. */
export class Interrupted extends Cancel {
  constructor() {
    super('fit')
    this.name = 'Interrupted'
    this.message = 'interrupted before there was a result'
  }
}

/** @throws OptionError  when a handler is called as an event, but as none there is: nothing would ever call it */
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

/** By order, stable. @throws OptionError when there is something else among them, or a handler of no event */
export function sortCallbacks(callbacks: readonly Callback[]): Callback[] {
  const other = callbacks.findIndex((callback) => typeof callback.order !== 'number')
  if (other >= 0) {
    throw new OptionError('callbacks', 'there is something else among them', {
      given: { place: other, what: callbacks[other].name },
      expected: 'objects with a name and an order',
      fix: 'call what makes a callback: mixUp()',
    })
  }
  for (const callback of callbacks) checkEvents(callback)
  return [...callbacks].sort((a, b) => a.order - b.order)
}

/** Whether a callback hears of a batch of that kind. */
export function hears({ runsOn = 'both' }: Callback, training: boolean): boolean {
  return runsOn === 'both' || runsOn === (training ? 'train' : 'valid')
}
