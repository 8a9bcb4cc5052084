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
 * State of training that the loop, its events and its callbacks share: the model, its data and the position in the fit.
 * `Learner` implements it.
 */
export interface FitState {
  readonly platform: Platform
  readonly loaders: Loaders
  readonly model: Module
  readonly metrics: readonly Metric[]
  /** Figures of this fit and of earlier fits. */
  readonly recorder: History
  /** Seed of the random choices that training makes, such as mixup's. */
  readonly seed: number
  /** Loss that training minimizes; a callback may replace it for the duration of a fit. */
  loss: Loss
  /** Precision of the forward and backward pass; 'mixed' stores activations in f16 and accumulates in f32. */
  readonly precision: 'f32' | 'mixed'
  /** Optimizer of the parameters; `undefined` before the first fit. */
  readonly optimizer: Optimizer | undefined
  /** Loss scale of the fit that is going on; `undefined` outside a fit. */
  readonly scaler: LossScaler | undefined

  /** Number of the epoch within its fit, from 0. */
  epoch: number
  /** Number of epochs of this fit. */
  epochs: number
  /** True in training, false in validation and prediction. */
  training: boolean
  /** Number of the batch within its epoch or validation, from 0. */
  iteration: number
  /** Number of batches of the epoch or validation. */
  batchCount: number
  /** Batches of the epoch or validation that the GPU has finished; it lags behind `iteration`. */
  completed: number
  /** Number of training steps of this fit so far. */
  trainIteration: number
  /** Fraction of the fit's training steps that are done, 0 to 1. */
  progress: number
  /** Number of epochs begun in all fits; it seeds the order of items and the random numbers of each epoch. */
  epochsBegun: number
  /** Result of the last validation of this fit; `undefined` until an epoch has been validated. */
  evaluation: Evaluation | undefined
  /** True once the user has asked to stop; the fit then ends within one step. */
  readonly interrupted: boolean
  /** True during predictions other than the validation of a fit. */
  readonly evaluating: boolean
  /** Lock that serializes work on the model. */
  readonly occupancy: Occupancy

  /** Returns the optimizer; makes it if there is none. */
  openOptimizer(): Optimizer
  /** Ends the fit within one step; weights and rows so far are kept. */
  interrupt(): void
  /**
   * Computes loss and metrics on the validation items or those of another loader. In a fit, await it in a handler
   * between steps.
   */
  validate(loader?: Loader): Promise<Evaluation>
  /**
   * Computes predictions for the validation items or those of another loader: probabilities of classes or labels, or
   * numbers. In a fit, await it in a handler between steps.
   */
  getPredictions(options?: { readonly loader?: Loader }): Promise<ItemPredictions>
  /** Writes weights, running statistics and the optimizer's state to a file. */
  save(path: string, options?: { readonly withOptimizer?: boolean }): Promise<void>
  /** Replaces weights, running statistics and the optimizer's state by the contents of a file. */
  load(source: string | Uint8Array | ArrayBuffer, options?: { readonly withOptimizer?: boolean }): Promise<void>
}
