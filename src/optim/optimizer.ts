import type { Json } from '../base/json.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Leaf, Tensor } from '../tensor/tensor.ts'
import type { LossScaler } from './loss-scaler.ts'

/** Properties of a parameter that an optimizer needs; implemented by nn/parameter.ts. */
export interface Trainable {
  readonly path: string
  readonly shape: Shape
  readonly kind: 'weight' | 'bias' | 'norm'
  readonly leaf: Leaf
  /** Values of the parameter, f32. */
  readonly value: Tensor
  /** Copy of the numbers in f16, which forward passes in mixed precision read. */
  f16Copy: Tensor | undefined
  /** Moves the numbers to another tensor of the same shape. */
  moveTo(target: Tensor): void
}

/** Hyperparameters of one parameter group at one step. */
export interface Hyperparameters {
  readonly lr: number
  readonly momentum: number
  readonly weightDecay: number
}

/**
 * Updates parameters so that the loss decreases. All work is encoded for the GPU without waiting; the GPU also decides
 * whether a step is skipped (see LossScaler).
 *
 * One training step: `setHyperparameters` · forward · `backward(loss, scaler.scale)` · `step(scaler)` · `zeroGradients`.
 */
export interface Optimizer {
  /** Name of the optimizer: a fit continues only with the same one (see train/files/fit-description.ts). */
  readonly name: string
  /** Options with which the optimizer was created: a fit continues only with the same ones. */
  readonly options: Json
  /** True if `step` and `zeroGradients` launch the same work at every step, so that a captured one can be replayed. Default false */
  readonly replayable?: boolean
  /** Groups of parameters that share hyperparameters, in the order of the network. */
  readonly groups: readonly (readonly Trainable[])[]
  /** Hyperparameters of the next step, one entry per group. */
  readonly hyperparameters: readonly Hyperparameters[]

  /**
   * Sets hyperparameters, one entry per group, and writes them to the GPU. Called before the forward pass of the step,
   * since a write submits all encoded work.
   *
   * @throws OptionError  if the number of groups differs, or a value is out of range
   */
  setHyperparameters(perGroup: readonly Partial<Hyperparameters>[]): void

  /**
   * Makes one step with the current gradients. A parameter that never had a gradient, or is frozen, does not change; one that
   * had a gradient before but has none now steps with zeros, as with PyTorch's zeroed gradients.
   *
   * @throws OptionError  if the parameters now belong to another optimizer
   */
  step(scaler: LossScaler): void

  /** Discards the gradients of this step, so that the next backward replaces them instead of adding to them. */
  zeroGradients(): void

  /** Freezes all groups before number n (negative: counted from the end), except normalization, and unfreezes the others. */
  freezeTo(n: number): void

  /** Clears all moments and counts of steps. */
  clearState(): void

  /** Forgets copies of the weights, when others have been loaded in their place. Default: there are none */
  forgetWeights?(): void

  /** Keeps f16 copies of the parameters up to date from now on. Called before training in mixed precision. */
  keepF16Copies(): void

  /** Reads the state that a checkpoint saves, by parameter: `5.1.bias.step`, … in the layouts of the library. */
  state(): Promise<OptimizerState>
  /** Requires a state of the same parameters and the same kind of optimizer. @throws DataError  if it is another one */
  checkState(state: OptimizerState): void
  /** Restores a saved state. @throws as `checkState`, without changes */
  loadState(state: OptimizerState): void

  /** Releases its buffers, except those of the parameters. */
  close(): void
}

/** Saved state of an optimizer: tensors by name, such as `5.1.bias.step`. */
export type OptimizerState = ReadonlyMap<string, { readonly shape: Shape; readonly data: Float32Array }>

/** Function that creates an optimizer for groups of parameters. A learner receives a factory, since it makes the groups. */
export type OptimizerFactory = (groups: readonly (readonly Trainable[])[]) => Optimizer
