import { checkArgument, checkOptions, NUMBER, type Kinds } from '../base/options.ts'
import { layerNorm } from '../ops/layer-norm.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { filled } from './init.ts'
import { Module } from './module.ts'
import { Parameter } from './parameter.ts'
import { layerRow, type LayerRow } from './summary.ts'

/** Options of a `LayerNorm`. */
export interface LayerNormLayerOptions {
  /** Number added to the variance, > 0. Default 1e-5, as torch.nn.LayerNorm; ConvNeXt has 1e-6 */
  readonly eps?: number
}

const KINDS: Kinds<LayerNormLayerOptions> = { eps: NUMBER }

/**
 * Layer normalization over the channels of every row: of every pixel of an image.
 *
 *   y = (x − mean) / √(variance + eps) · weight + bias,  mean and variance over the last axis
 *
 * x […,C] f16 | f32 → as x; weight (1 at first) and bias (0) [C] f32.
 * Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450; torch.nn.LayerNorm, torchvision models/convnext.py, LayerNorm2d.
 */
export class LayerNorm extends Module {
  static override readonly replayable: boolean = true
  readonly weight: Parameter
  readonly bias: Parameter
  private readonly eps: number | undefined

  constructor(channels: number, options: LayerNormLayerOptions = {}) {
    super()
    checkArgument('LayerNorm', 'channels', channels, NUMBER)
    checkOptions('LayerNorm', options, KINDS)
    this.eps = options.eps
    const shape = [channels]
    this.weight = this.addParameter(new Parameter('weight', shape, 'norm', filled(shape, 1)))
    this.bias = this.addParameter(new Parameter('bias', shape, 'norm', filled(shape, 0)))
  }

  forward(x: Tensor): Tensor {
    return layerNorm(x, this.weight.value, this.bias.value, this.eps === undefined ? {} : { eps: this.eps })
  }

  override describe(input: Shape): readonly LayerRow[] {
    return [layerRow('layer norm', input, [this.weight, this.bias])]
  }
}
