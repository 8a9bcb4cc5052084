import type { Loader } from '../../data/loader.ts'
import type { Loaders } from '../../data/loaders.ts'
import type { Module } from '../../nn/module.ts'
import type { LossScaler } from '../../optim/loss-scaler.ts'
import type { Optimizer } from '../../optim/optimizer.ts'
import type { Platform } from '../../platform/platform.ts'
import type { Loss } from './losses.ts'
import type { Metric } from './metrics.ts'
import type { Evaluation, ItemPredictions } from './evaluation.ts'
import type { History } from './history.ts'
import type { Occupancy } from './occupancy.ts'

/**
 * State of training that the loop, its events and its callbacks share: what is trained, on which data, and how far it has
 * come. A `Learner` is one.
 */
export interface FitState {
  readonly platform: Platform
  readonly loaders: Loaders
  readonly model: Module
  readonly metrics: readonly Metric[]
  /** Figures of this fit and of those before. */
  readonly recorder: History
  /** Seed of the random choices that training makes, such as mixup's. */
  readonly seed: number
  /** Loss that training descends; a callback may replace it for the duration of a fit. */
  loss: Loss
  /** 'mixed': activations in f16, sums in f32. */
  readonly precision: 'f32' | 'mixed'
  /** Optimizer of the parameters; made by the first fit. */
  readonly optimizer: Optimizer | undefined
  /** Loss scale of the fit that is going on. */
  readonly scaler: LossScaler | undefined

  /** Number of the epoch within its fit, from 0. */
  epoch: number
  /** Epochs of this fit. */
  epochs: number
  /** True in training, false in validation and prediction. */
  training: boolean
  /** Number of the batch within its pass, from 0. */
  iteration: number
  /** Batches of the pass. */
  batchCount: number
  /** Training steps of this fit so far. */
  trainIteration: number
  /** Part of the fit's training steps that are done, 0 to 1. */
  progress: number
  /** Epochs begun in all fits: each has an order of items and random numbers of its own. */
  epochsBegun: number
  /** Result of the last validation of this fit; `undefined` until an epoch has been validated. */
  evaluation: Evaluation | undefined
  /** True once the user has asked to stop: the fit ends within a step. */
  readonly interrupted: boolean
  /** True while items are predicted for any purpose but the validation of a fit. */
  readonly evaluating: boolean
  /** Keeps other work on the same model apart from this. */
  readonly occupancy: Occupancy

  /** Returns the optimizer, made if there is none. */
  openOptimizer(): Optimizer
  /** Ends the fit within a step, with the weights and the rows there are. */
  interrupt(): void
  /** Loss and metrics on the validation items, or those of another loader; to be awaited in a handler between steps. */
  validate(loader?: Loader): Promise<Evaluation>
  /** Probabilities for the validation items, or those of another loader; to be awaited in a handler between steps. */
  getPredictions(options?: { readonly loader?: Loader }): Promise<ItemPredictions>
  /** Writes weights, running statistics and the optimizer's state to a file. */
  save(path: string, options?: { readonly withOptimizer?: boolean }): Promise<void>
  /** Replaces weights, running statistics and the optimizer's state by those of a file. */
  load(path: string, options?: { readonly withOptimizer?: boolean }): Promise<void>
}
