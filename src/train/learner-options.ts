import { ANY, FLAG, FUNCTION, listOf, NUMBER, objectWith, oneOf, PATH, type Kind, type Kinds } from '../base/options.ts'
import { WEIGHT_PRECISION } from '../nn/weight-precision.ts'
import { NAMES } from '../nn/weights.ts'
import type { TuneOptions } from '../ops/convolution/tuner.ts'
import type { OptimizerFactory } from '../optim/optimizer.ts'
import { FLAT_COS_KINDS, ONE_CYCLE_KINDS, type flatCos, type OneCycleOptions } from '../optim/schedule.ts'
import type { Callback } from './fit/callback.ts'
import type { Loss } from './fit/losses.ts'
import { topKAccuracy, type Metric } from './fit/metrics.ts'
import type { Groups } from './parameter-groups.ts'
import type { ExportOptions } from './files/export.ts'
import type { SaveOptions } from './files/save-load.ts'

/** One learning rate for all parameters, or from the first group's to the last one's (see `learningRates`). */
export type LearningRate = number | { readonly start?: number; readonly stop: number }

export interface LearnerOptions {
  /** Default crossEntropy() */
  readonly loss?: Loss
  /** Measured on the validation items after every epoch. Default none */
  readonly metrics?: readonly Metric[]
  /** Default adam() */
  readonly optimizer?: OptimizerFactory
  /** Where a fit names none. Default 1e-3 */
  readonly lr?: number
  readonly callbacks?: readonly Callback[]
  /** Of one-cycle training: at its beginning, at the highest learning rate, at its end. Default 0.95, 0.85, 0.95 */
  readonly momentums?: readonly [number, number, number]
  /** Default: the optimizer's own */
  readonly weightDecay?: number
  /** Parameters that share hyper-parameters, in the order of the network. Default: all in one group */
  readonly groups?: Groups
  /** Of random choices made in training, such as mixup's. Default: that of the loaders */
  readonly seed?: number
  /** Encode training steps again from a recording where they are all alike (see fit/replay.ts). Default true */
  readonly replay?: boolean
  /** How kernels are chosen before a fit, on a GPU (see ops/convolution/tuner.ts). Default: as `tune` does by itself */
  readonly tune?: TuneOptions
}

export interface FitOptions {
  /** Only for this fit. */
  readonly callbacks?: readonly Callback[]
  /** Instead of the learner's, which stays what it is. Where the learner has none the optimizer keeps this one, as in fastai. */
  readonly weightDecay?: number
  /** Begin with an optimizer that knows nothing. Default false */
  readonly resetOptimizer?: boolean
  /** File that is written before the first epoch and after every one with all that is needed to go on from there (see files/checkpoints.ts). */
  readonly checkpoint?: string
  /** Go on from the checkpoint, if it is there, and end with the numbers of a fit without interruption. Default false */
  readonly resume?: boolean
}

export type FitOneCycleOptions = FitOptions & OneCycleOptions

export type FitFlatCosOptions = FitOptions & Parameters<typeof flatCos>[1]

export type FitSgdrOptions = FitOptions & {
  /** Default: that of the learner */
  readonly lrMax?: LearningRate
  /** How many times longer each cycle is than the one before. Default 2 */
  readonly cycleMult?: number
}

export type FineTuneOptions = FitOneCycleOptions & {
  /** Default 1 */
  readonly freezeEpochs?: number
  /** The first group learns by this much slower than the last. Default 100 */
  readonly lrMult?: number
}

/** Accepted metrics. `topKAccuracy` is not one: it makes one. */
const METRIC: Kind = {
  expected: 'a metric, such as accuracy or topKAccuracy(5)',
  is: (value) => typeof value === 'function' && value !== topKAccuracy,
}
const LIST: Kind = { expected: 'a list', is: Array.isArray }
export const RATE: Kind = oneOf(NUMBER, {
  expected: '{ start, stop }',
  is: (value) =>
    value instanceof Object &&
    'stop' in value &&
    NUMBER.is(value.stop) &&
    (!('start' in value) || NUMBER.is(value.start)),
})

export const LEARNER_KINDS: Kinds<LearnerOptions> = {
  loss: objectWith('a loss, such as crossEntropy()', 'mean', 'each', 'probabilities'),
  metrics: listOf(METRIC),
  optimizer: { ...FUNCTION, expected: 'what makes an optimizer, such as adam()' },
  lr: NUMBER,
  callbacks: LIST,
  momentums: listOf(NUMBER),
  weightDecay: NUMBER,
  groups: FUNCTION,
  seed: NUMBER,
  replay: FLAG,
  tune: ANY,
}
export const FIT_KINDS: Kinds<FitOptions> = {
  callbacks: LIST,
  weightDecay: NUMBER,
  resetOptimizer: FLAG,
  checkpoint: PATH,
  resume: FLAG,
}
export const FIT_ONE_CYCLE_KINDS: Kinds<FitOneCycleOptions> = { ...FIT_KINDS, ...ONE_CYCLE_KINDS }
export const FIT_FLAT_COS_KINDS: Kinds<FitFlatCosOptions> = { ...FIT_KINDS, ...FLAT_COS_KINDS }
export const FIT_SGDR_KINDS: Kinds<FitSgdrOptions> = { ...FIT_KINDS, lrMax: RATE, cycleMult: NUMBER }
export const FINE_TUNE_KINDS: Kinds<FineTuneOptions> = { ...FIT_ONE_CYCLE_KINDS, freezeEpochs: NUMBER, lrMult: NUMBER }
export const EXPORT_KINDS: Kinds<ExportOptions> = { precision: WEIGHT_PRECISION }
export const SAVE_KINDS: Kinds<SaveOptions> = { withOptimizer: FLAG, names: NAMES }
