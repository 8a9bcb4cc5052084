import { requireInteger } from '../base/check.ts'
import { OptionError } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import { checkArgument, type Kind, type Kinds } from '../base/options.ts'
import type { TuneOptions } from '../ops/convolution/tuner.ts'
import { LossScaler } from '../optim/loss-scaler.ts'
import type { Optimizer } from '../optim/optimizer.ts'
import { FLAT_COS_KINDS, ONE_CYCLE_KINDS } from '../optim/schedule-options.ts'
import { flatCos, learningRates, oneCycle, sgdr } from '../optim/schedule.ts'
import { scheduler, type GroupSchedules } from './callbacks/scheduler.ts'
import { requireBatchFits } from './fit/batch-fits.ts'
import { sortCallbacks, type Callback } from './fit/callback.ts'
import { requireLabels } from './fit/evaluate.ts'
import { requireDone, type RunningFit } from './fit/events.ts'
import { LossReader } from './fit/loss-reader.ts'
import { runFit } from './fit/loop.ts'
import { withTunedKernels } from './fit/tune-kernels.ts'
import type {
  FineTuneOptions,
  FitFlatCosOptions,
  FitOneCycleOptions,
  FitOptions,
  FitSgdrOptions,
  LearningRate,
} from './learner-options.ts'
import { freezeGroups } from './parameter-groups.ts'

/** Kinds of batches for which a callback may run; for another it would never. */
const RUNS_ON: Kind = {
  expected: "'train', 'valid' or 'both'",
  is: (value) => ['train', 'valid', 'both', undefined].includes(value as Callback['runsOn']),
}

/** Callbacks that remember something of a fit that is going on. */
const remembering = new WeakSet<Callback>()

/** State of a learner that its fits read and set. `Learner` implements it. */
export interface FittingState extends RunningFit {
  /** Callbacks of the fit that is going on; between fits those of every fit. */
  callbacks: readonly Callback[]
  scaler: LossScaler | undefined
  /** Momentum of one-cycle training at its beginning, at the highest learning rate and at its end. */
  readonly momentums: readonly [number, number, number]
  /** Weight decay of fits that are given none. */
  readonly weightDecay: number | undefined
  readonly tune: TuneOptions
  /** Returns the optimizer; makes it if there is none or `renew` is true. */
  openOptimizer(renew?: boolean): Optimizer
}

/** Options of a fit, including those that only other fits pass. */
interface InnerFitOptions extends FitOptions {
  /** Parameter groups to freeze, as in `Learner.freezeTo`; applied after the checks of the fit. */
  readonly freezeTo?: number
}

/** Trains at a constant learning rate (see `Learner.fit`). */
export async function fit(
  state: FittingState,
  epochs: number,
  lr: LearningRate,
  options: InnerFitOptions,
): Promise<void> {
  requireInteger('fit', 'epochs', epochs, { from: 0 })
  const { train } = state.loaders
  if (train.batchCount === 0) {
    throw new OptionError('fit', 'a batch is larger than the training set, so there is no batch', {
      given: { batchSize: train.batchSize, 'training items': train.items.length },
      fix: 'use a smaller batchSize, or more items',
    })
  }
  requireLabels('fit', train)
  await requireBatchFits(state)
  // Read before anything is changed: a checkpoint that cannot be resumed is refused here.
  const checkpointing = await checkpointsOf(state, epochs, lr, options)
  if (options.freezeTo !== undefined) freezeGroups(state.openOptimizer(), options.freezeTo)
  const optimizer = state.openOptimizer(options.resetOptimizer)
  const { weightDecay = state.weightDecay } = options
  const decay = weightDecay === undefined ? {} : { weightDecay }
  optimizer.setHyperparameters(ratesOf(lr, optimizer).map((rate) => ({ lr: rate, ...decay })))
  // A fit that ended within a step, or while accumulating, left gradients behind.
  optimizer.zeroGradients()
  if (state.precision === 'mixed') optimizer.keepF16Copies()
  state.epochs = epochs
  const before = state.callbacks
  state.callbacks = sortCallbacks([...before, ...(options.callbacks ?? []), ...checkpointing])
  // Every fit begins with a new loss scale, as in fastai.
  const scaler = new LossScaler({ mixed: state.precision === 'mixed' })
  const losses = new LossReader()
  state.scaler = scaler
  let own: readonly Callback[] = []
  try {
    own = takeRemembering(state.callbacks)
    for (const callback of state.callbacks) {
      checkArgument(`callback ${callback.name}`, 'runsOn', callback.runsOn, RUNS_ON)
      requireDone(callback, 'preparing', callback.preparing?.(state))
    }
    await withTunedKernels(state, state.tune, () => runFit(state, scaler, losses))
  } finally {
    for (const callback of own) remembering.delete(callback)
    state.callbacks = before
    state.scaler = undefined
    scaler.close()
    losses.close()
    // A status line that a failed fit or search for kernels left would stand in front of the error.
    state.platform.status?.('')
  }
}

/** Trains with one cycle of learning rate and momentum (see `Learner.fitOneCycle`). */
export function fitOneCycle(
  state: FittingState,
  epochs: number,
  lrMax: LearningRate,
  options: FitOneCycleOptions & InnerFitOptions,
): Promise<void> {
  const cycles = ratesOf(lrMax, state.openOptimizer()).map((rate) =>
    oneCycle(rate, { moms: state.momentums, ...only(ONE_CYCLE_KINDS, options) }),
  )
  return fitScheduled(state, epochs, lrMax, cycles, options)
}

/** Trains at a constant learning rate followed by a cosine decay (see `Learner.fitFlatCos`). */
export function fitFlatCos(
  state: FittingState,
  epochs: number,
  lr: LearningRate,
  options: FitFlatCosOptions,
): Promise<void> {
  const schedules = ratesOf(lr, state.openOptimizer()).map((rate) => ({
    lr: flatCos(rate, only(FLAT_COS_KINDS, options)),
  }))
  return fitScheduled(state, epochs, lr, schedules, options)
}

/** Trains the last parameter group first, then all groups (see `Learner.fineTune`). */
export async function fineTune(
  state: FittingState,
  epochs: number,
  baseLr: number,
  options: FineTuneOptions,
): Promise<void> {
  const { freezeEpochs = 1, lrMult = 100, pctStart = 0.3, div = 5, ...both } = options
  const lr = { start: baseLr / 2 / lrMult, stop: baseLr / 2 }
  const { checkpoint, resume = false } = options
  const pastFirst =
    resume &&
    checkpoint !== undefined &&
    (await (await import('./files/checkpoints.ts')).isCheckpointOf(state, checkpoint, lr))
  if (!pastFirst) {
    if (state.openOptimizer().groups.length === 1) {
      state.platform.log(
        'fineTune: the learner has one parameter group, so nothing is frozen; to train the head first: { groups: xresnetGroups } or resnetGroups, or a learner of visionLearner',
      )
    }
    await fitOneCycle(state, freezeEpochs, { stop: baseLr }, { pctStart: 0.99, ...both, freezeTo: -1 })
    if (state.interrupted) return
  }
  await fitOneCycle(state, epochs, lr, {
    pctStart,
    div,
    ...both,
    resetOptimizer: false,
    resume: pastFirst,
    freezeTo: 0,
  })
}

/** Trains in cycles in which the learning rate decays to 0 (see `Learner.fitSgdr`). */
export function fitSgdr(
  state: FittingState,
  cycles: number,
  cycleLength: number,
  lrMax: LearningRate,
  options: FitSgdrOptions,
): Promise<void> {
  const { epochs, at } = sgdr(cycles, cycleLength, options.cycleMult)
  const schedules = ratesOf(lrMax, state.openOptimizer()).map((rate) => ({ lr: at(rate) }))
  return fitScheduled(state, epochs, lrMax, schedules, options)
}

function fitScheduled(
  state: FittingState,
  epochs: number,
  lr: LearningRate,
  groups: readonly GroupSchedules[],
  options: InnerFitOptions,
): Promise<void> {
  const { callbacks: own = [] } = options
  if ([...state.callbacks, ...own].some(({ name }) => name === 'reduceLrOnPlateau')) {
    const why = 'a schedule sets the learning rates before every batch, so that no reduction lasts'
    const fix = 'train with fit, which has no schedule, or leave the callback out'
    throw new OptionError('reduceLrOnPlateau', why, { fix })
  }
  return fit(state, epochs, lr, { ...options, callbacks: [scheduler(groups), ...own] })
}

async function checkpointsOf(
  state: FittingState,
  epochs: number,
  lr: LearningRate,
  options: InnerFitOptions,
): Promise<Callback[]> {
  const { callbacks: own = [], checkpoint, resume = false, resetOptimizer: _reset, ...described } = options
  if (checkpoint === undefined) {
    if (!resume) return []
    throw new OptionError('fit', 'there is no checkpoint to resume from', {
      given: { resume },
      fix: 'name the file: { checkpoint: path, resume: true }',
    })
  }
  const description = {
    epochs,
    lr: lr as Json,
    momentums: state.momentums,
    weightDecay: state.weightDecay,
    ...described,
  }
  const callbacks = sortCallbacks([...state.callbacks, ...own])
  const { checkpoints } = await import('./files/checkpoints.ts')
  return [await checkpoints(state, { file: checkpoint, resume, fit: description, epochs, callbacks })]
}

/**
 * Takes the callbacks that have a state for one fit, and returns them.
 *
 * @throws OptionError  if one of them is in another fit that is going on: it would take the figures of both for those of one
 */
function takeRemembering(callbacks: readonly Callback[]): readonly Callback[] {
  const own = callbacks.filter((callback) => callback.state)
  const shared = own.find((callback) => remembering.has(callback))
  if (shared) {
    throw new OptionError(`callback ${shared.name}`, 'it is in the fit of another learner that is going on', {
      fix: 'make one for each learner, as it remembers figures of its fit, or await the other fit first',
    })
  }
  for (const callback of own) remembering.add(callback)
  return own
}

/** Returns those options of a fit that its schedule has and that are given: undefined stands for a default. */
function only<Options extends object>(kinds: Kinds<Options>, options: Partial<Options>): Partial<Options> {
  const given = Object.entries(options).filter(([name, value]) => value !== undefined && Object.hasOwn(kinds, name))
  return Object.fromEntries(given) as Partial<Options>
}

/** Returns the learning rate of each parameter group. */
function ratesOf(lr: LearningRate, { groups }: Optimizer): number[] {
  return typeof lr === 'number' ? new Array<number>(groups.length).fill(lr) : learningRates(lr, groups.length)
}
