import { checkArgument, NUMBER } from '../base/options.ts'
import { batchNorm } from '../ops/batch-norm.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { filled } from './init.ts'
import { Module } from './module.ts'
import { Parameter, StateTensor } from './parameter.ts'
import { layerRow, type LayerRow } from './summary.ts'

/** What is done to the normalised values in the same pass over them. */
export interface NormFollowUp {
  readonly relu?: boolean
  /** Added before the ReLU; as x. */
  readonly residual?: Tensor
}

/** Source: the defaults of torch.nn.BatchNorm2d. */
const MOMENTUM = 0.1
const EPSILON = 1e-5

/**
 * Batch normalisation over N, H and W.
 *
 *   y = (x − mean) / √(variance + 1e-5) · weight + bias, then + residual, then ReLU, where asked for
 *
 * In training mean and (biased) variance are the batch's, and running averages of them move by a tenth of the way (the
 * variance unbiased); in evaluation the running ones are used. weight starts at 1, or at 0 to make a residual block
 * begin as its identity (arXiv:1706.02677, §5.1); bias at 0.
 *
 * x [N,H,W,C] f16 | f32 → as x; parameters and statistics [C] f32.
 * Source: Ioffe & Szegedy 2015, arXiv:1502.03167; torch.nn.BatchNorm2d.
 */
export class BatchNorm extends Module {
  static override readonly replayable: boolean = true
  readonly weight: Parameter
  readonly bias: Parameter
  readonly runningMean: StateTensor
  readonly runningVar: StateTensor

  constructor(channels: number, { weight = 1 }: { readonly weight?: 0 | 1 } = {}) {
    super()
    checkArgument('BatchNorm', 'channels', channels, NUMBER)
    const shape = [channels]
    this.weight = this.addParameter(new Parameter('weight', shape, 'norm', filled(shape, weight)))
    this.bias = this.addParameter(new Parameter('bias', shape, 'norm', filled(shape, 0)))
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
      ...then,
    })
  }

  describe(input: Shape): readonly LayerRow[] {
    return [layerRow('batch norm', input, [this.weight, this.bias])]
  }
}
