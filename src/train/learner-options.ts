import { isRecord } from '../base/json.ts'
import { ANY, FLAG, FUNCTION, listOf, NUMBER, objectWith, oneOf, PATH, type Kind, type Kinds } from '../base/options.ts'
import type { TuneOptions } from '../ops/convolution/tuner.ts'
import type { OptimizerFactory } from '../optim/optimizer.ts'
import type { flatCos } from '../optim/schedule.ts'
import { FLAT_COS_KINDS, ONE_CYCLE_KINDS, type OneCycleOptions } from '../optim/schedule-options.ts'
import type { Callback } from './fit/callback.ts'
import type { Loss } from './fit/losses.ts'
import type { Metric, NamedMetrics } from './fit/metrics.ts'
import type { Groups } from './parameter-groups.ts'

/**
 * Learning rate: one for all parameters, or a range from the first to the last parameter group (see `learningRates`).
 */
export type LearningRate = number | { readonly start?: number; readonly stop: number }

/** Options of a `Learner`. */
export interface LearnerOptions {
  /** Loss that training minimizes. Default: that of the targets, `crossEntropy()`, `binaryCrossEntropy()` or `mseLoss()` */
  readonly loss?: Loss
  /**
   * Metrics computed on the validation items after every epoch: functions with a name, or `{ hits }`, whose name a minifier
   * leaves as it is. Default none
   */
  readonly metrics?: readonly (Metric | NamedMetrics)[]
  /** Factory of the optimizer. Default adam() */
  readonly optimizer?: OptimizerFactory
  /** Learning rate of a fit that is given none. Default 1e-3 */
  readonly lr?: number
  /** Callbacks of every fit. Default none */
  readonly callbacks?: readonly Callback[]
  /**
   * Momentum of one-cycle training at its beginning, at the highest learning rate and at its end. Default 0.95, 0.85,
   * 0.95
   */
  readonly momentums?: readonly [number, number, number]
  /** Weight decay. Default: that of the optimizer */
  readonly weightDecay?: number
  /**
   * Division of the parameters into groups with their own hyperparameters, in the order of the network. Default: one
   * group
   */
  readonly groups?: Groups
  /** Seed of random choices made in training, such as mixup's. Default: that of the loaders */
  readonly seed?: number
  /** True to record training steps once and replay them where they are all alike (see fit/replay.ts). Default true */
  readonly replay?: boolean
  /**
   * Options for timing kernel variants on a GPU before a fit (see ops/convolution/tuner.ts). Default: those of `tune`, for
   * half the time of the fit at most
   */
  readonly tune?: TuneOptions
}

/** Options of every kind of fit. */
export interface FitOptions {
  /** Additional callbacks of this fit. */
  readonly callbacks?: readonly Callback[]
  /**
   * Weight decay of this fit in place of the learner's. If the learner has none, the optimizer keeps this value
   * afterwards, as in fastai.
   */
  readonly weightDecay?: number
  /** True to begin with a new optimizer without state. Default false */
  readonly resetOptimizer?: boolean
  /**
   * Path of a checkpoint that is written before the first epoch and after every epoch, from which the fit can be
   * resumed (see files/checkpoints.ts).
   */
  readonly checkpoint?: string
  /**
   * True to resume from the checkpoint if it exists; the fit then ends with the numbers of an uninterrupted one.
   * Default false
   */
  readonly resume?: boolean
}

/** Options of `Learner.fitOneCycle`. */
export type FitOneCycleOptions = FitOptions & OneCycleOptions

/** Options of `Learner.fitFlatCos`. */
export type FitFlatCosOptions = FitOptions & Parameters<typeof flatCos>[1]

/** Options of `Learner.fitSgdr`. */
export type FitSgdrOptions = FitOptions & {
  /** Learning rate at the start of each cycle. Default: that of the learner */
  readonly lrMax?: LearningRate
  /** Ratio of the length of each cycle to that of the one before. Default 2 */
  readonly cycleMult?: number
}

/** Options of `Learner.fineTune`. */
export type FineTuneOptions = FitOneCycleOptions & {
  /** Number of epochs in which only the last parameter group is trained. Default 1 */
  readonly freezeEpochs?: number
  /** Ratio of the learning rate of the last parameter group to that of the first. Default 100 */
  readonly lrMult?: number
}

/** Functions that make a metric but are none, by name: importing them would add all of them to every page. */
const METRIC_FACTORIES: readonly string[] = [
  'topKAccuracy',
  'precision',
  'recall',
  'fBeta',
  'f1Score',
  'balancedAccuracy',
  'rocAuc',
  'cohenKappa',
  'matthewsCorrelation',
  'accuracyMulti',
  'precisionMulti',
  'recallMulti',
  'fBetaMulti',
  'f1ScoreMulti',
]
/** Check of a metric. It refuses `topKAccuracy` itself, which has no parameter that must be given. */
const METRIC: Kind = {
  expected: 'a metric, such as accuracy or topKAccuracy(5), or metrics by name: { hits }',
  is: (value) => isMetric(value) || (isRecord(value) && Object.values(value).every(isMetric)),
}

function isMetric(value: unknown): boolean {
  return typeof value === 'function' && !(value.length === 0 && METRIC_FACTORIES.includes(value.name))
}

/** Check of callbacks; `sortCallbacks` checks each. */
const LIST: Kind = { expected: 'a list', items: objectWith('a callback'), is: Array.isArray }
/** Check of a learning rate. */
export const RATE: Kind = oneOf(NUMBER, {
  expected: '{ start, stop }',
  is: (value) =>
    value instanceof Object &&
    'stop' in value &&
    NUMBER.is(value.stop) &&
    (!('start' in value) || NUMBER.is(value.start)) &&
    Object.keys(value).every((name) => name === 'start' || name === 'stop'),
})

/** Checks of the options of a learner. */
export const LEARNER_KINDS: Kinds<LearnerOptions> = {
  loss: objectWith('a loss, such as crossEntropy()', 'mean', 'each'),
  metrics: listOf(METRIC),
  optimizer: { ...FUNCTION, expected: 'an optimizer factory, such as adam()' },
  lr: NUMBER,
  callbacks: LIST,
  momentums: listOf(NUMBER),
  weightDecay: NUMBER,
  groups: FUNCTION,
  seed: NUMBER,
  replay: FLAG,
  tune: ANY,
}
/** Checks of the options of `Learner.fit`. */
export const FIT_KINDS: Kinds<FitOptions> = {
  callbacks: LIST,
  weightDecay: NUMBER,
  resetOptimizer: FLAG,
  checkpoint: PATH,
  resume: FLAG,
}
/** Checks of the options of `Learner.fitOneCycle`. */
export const FIT_ONE_CYCLE_KINDS: Kinds<FitOneCycleOptions> = { ...FIT_KINDS, ...ONE_CYCLE_KINDS }
/** Checks of the options of `Learner.fitFlatCos`. */
export const FIT_FLAT_COS_KINDS: Kinds<FitFlatCosOptions> = { ...FIT_KINDS, ...FLAT_COS_KINDS }
/** Checks of the options of `Learner.fitSgdr`. */
export const FIT_SGDR_KINDS: Kinds<FitSgdrOptions> = { ...FIT_KINDS, lrMax: RATE, cycleMult: NUMBER }
/** Checks of the options of `Learner.fineTune`. */
export const FINE_TUNE_KINDS: Kinds<FineTuneOptions> = { ...FIT_ONE_CYCLE_KINDS, freezeEpochs: NUMBER, lrMult: NUMBER }
