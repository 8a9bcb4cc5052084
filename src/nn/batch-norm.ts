import { checkArgument, checkOptions, FLAG, NUMBER, type Kinds } from '../base/options.ts'
import { batchNorm } from '../ops/batch-norm.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { filled } from './init.ts'
import { Module } from './module.ts'
import { Parameter, StateTensor } from './parameter.ts'
import { layerRow, type LayerRow } from './summary.ts'

/** Operations fused into the same pass over the normalized values. */
export interface NormFollowUp {
  /** Apply ReLU at the end. Default false */
  readonly relu?: boolean
  /** Tensor of the same shape and type as x, added before the ReLU. */
  readonly residual?: Tensor
}

/** Options of a `BatchNorm`. */
export interface BatchNormLayerOptions {
  /** Initial value of the weight. Default 1. */
  readonly weight?: 0 | 1
  /** Initial value of the bias. Default 0. */
  readonly bias?: number
  /** Always end with a rectified linear unit. Default false */
  readonly relu?: boolean
}

const KINDS: Kinds<BatchNormLayerOptions> = { weight: NUMBER, bias: NUMBER, relu: FLAG }

/** Weight of the new batch in the running averages. Source: default of torch.nn.BatchNorm2d. */
const MOMENTUM = 0.1
/** Added to the variance under the root. Source: default of torch.nn.BatchNorm2d. */
const EPSILON = 1e-5

/**
 * Batch normalization over N, H and W, or over N alone.
 *
 *   y = (x − mean) / √(variance + 1e-5) · weight + bias, then optionally + residual, then optionally ReLU
 *
 * Training uses the mean and the biased variance of the batch, and updates running averages with momentum 0.1 (of the
 * unbiased variance); evaluation uses the running averages. weight starts at 1, or at 0 so that a residual block starts
 * as the identity (arXiv:1706.02677, §5.1); bias starts at 0.
 *
 * x [N,H,W,C] or [N,C], f16 | f32 → same shape and type; parameters and statistics [C] f32.
 * Source: Ioffe & Szegedy 2015, arXiv:1502.03167; torch.nn.BatchNorm1d and BatchNorm2d.
 */
export class BatchNorm extends Module {
  static override readonly replayable: boolean = true
  readonly weight: Parameter
  readonly bias: Parameter
  readonly runningMean: StateTensor
  readonly runningVar: StateTensor
  private readonly relu: boolean

  constructor(channels: number, options: BatchNormLayerOptions = {}) {
    super()
    checkArgument('BatchNorm', 'channels', channels, NUMBER)
    checkOptions('BatchNorm', options, KINDS)
    const { weight = 1, bias = 0, relu = false } = options
    this.relu = relu
    const shape = [channels]
    this.weight = this.addParameter(new Parameter('weight', shape, 'norm', filled(shape, weight)))
    this.bias = this.addParameter(new Parameter('bias', shape, 'norm', filled(shape, bias)))
    this.runningMean = this.addBuffer(new StateTensor('running_mean', shape, filled(shape, 0)))
    this.runningVar = this.addBuffer(new StateTensor('running_var', shape, filled(shape, 1)))
  }

  forward(x: Tensor, then: NormFollowUp = {}): Tensor {
    return batchNorm(x, this.weight.value, this.bias.value, {
      runningMean: this.runningMean.value,
      runningVar: this.runningVar.value,
      training: this.training,
      momentum: MOMENTUM,
      eps: EPSILON,
      relu: this.relu,
      ...then,
    })
  }

  override describe(input: Shape): readonly LayerRow[] {
    return [layerRow('batch norm', input, [this.weight, this.bias])]
  }
}
