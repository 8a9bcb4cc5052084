import type { Json } from '../base/json.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Leaf, Tensor } from '../tensor/tensor.ts'
import type { LossScaler } from './loss-scaler.ts'

/** What an optimizer needs to know of a parameter; nn/parameter.ts has it. */
export interface Trainable {
  readonly path: string
  readonly shape: Shape
  readonly kind: 'weight' | 'bias' | 'norm'
  readonly leaf: Leaf
  /** f32 */
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
 * Changes parameters so that the loss falls. Everything is recorded on the GPU and nothing is waited for: whether a
 * step counts (see LossScaler) is decided there.
 *
 * One training step: `setHyperparameters` · forward · `backward(loss, scaler.scale)` · `step(scaler)` · `zeroGradients`.
 */
export interface Optimizer {
  /** Which optimizer it is, and the options it was made with: a fit is only continued with the same (see train/files/fit-description.ts). */
  readonly name: string
  readonly options: Json
  /** `step` and `zeroGradients` launch the same work at every step, so that a recorded one can be replayed. Default false */
  readonly replayable?: boolean
  /** Parameters that share hyper-parameters, in the order of the network. */
  readonly groups: readonly (readonly Trainable[])[]
  /** Hyperparameters of the next step, one entry per group. */
  readonly hyperparameters: readonly Hyperparameters[]

  /**
   * Sets what is given, group by group, and writes it to the GPU: before the step's forward pass, since a write
   * submits what is recorded. @throws OptionError when the groups are not as many, or a value is out of range
   */
  setHyperparameters(perGroup: readonly Partial<Hyperparameters>[]): void

  /**
   * Makes one step with the gradients there are. A parameter that never had one stands still; one that had one before
   * but has none now steps with zeros, as PyTorch's zeroed gradients do; a frozen one stands still.
   *
   * @throws OptionError when another optimizer has taken the parameters
   */
  step(scaler: LossScaler): void

  /** Forgets the gradients of this step; the next backward replaces them. Without it they add up. */
  zeroGradients(): void

  /** Freezes all groups before number n (negative: counted from the end), except normalization, and unfreezes the others. */
  freezeTo(n: number): void

  /** Forgets all moments and counts of steps. */
  clearState(): void

  /** Keeps f16 copies of the parameters up to date from now on. Called before training in mixed precision. */
  keepF16Copies(): void

  /** What a checkpoint needs, by parameter: `5.1.bias.step`, … in the library's own layouts. */
  state(): Promise<OptimizerState>
  /** @throws DataError when a state is not that of the same parameters and the same kind of optimizer */
  checkState(state: OptimizerState): void
  /** Replaces what is remembered. @throws as `checkState`; nothing is changed then. */
  loadState(state: OptimizerState): void

  /** Gives its buffers back. The parameters keep theirs. */
  close(): void
}

export type OptimizerState = ReadonlyMap<string, { readonly shape: Shape; readonly data: Float32Array }>

/** Makes an optimizer for parameters in groups: what a learner is given, since it knows the groups. */
export type OptimizerFactory = (groups: readonly (readonly Trainable[])[]) => Optimizer
