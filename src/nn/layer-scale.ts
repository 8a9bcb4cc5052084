import { checkArgument, checkOptions, NUMBER, type Kinds } from '../base/options.ts'
import { mul } from '../ops/mul.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { filled } from './init.ts'
import { Module } from './module.ts'
import { Parameter } from './parameter.ts'
import { layerRow, type LayerRow } from './summary.ts'

/** Options of a `LayerScale`. */
export interface LayerScaleOptions {
  /** Initial factor. Default 1e-6, as in ConvNeXt */
  readonly start?: number
}

const KINDS: Kinds<LayerScaleOptions> = { start: NUMBER }

/**
 * A trained factor per channel, small at first, at the end of a residual path.
 *
 *   y[…,c] = x[…,c]·gamma[c]
 *
 * x […,C] f16 | f32 → as x; gamma [C] f32, without weight decay, frozen with its group.
 * Source: Touvron et al. 2021, arXiv:2103.17239; timm layers/layer_scale.py.
 */
export class LayerScale extends Module {
  static override readonly replayable: boolean = true
  readonly gamma: Parameter

  constructor(channels: number, options: LayerScaleOptions = {}) {
    super()
    checkArgument('LayerScale', 'channels', channels, NUMBER)
    checkOptions('LayerScale', options, KINDS)
    const { start = 1e-6 } = options
    this.gamma = this.addParameter(new Parameter('gamma', [channels], 'bias', filled([channels], start)))
  }

  forward(x: Tensor): Tensor {
    return mul(x, this.gamma.value)
  }

  override describe(input: Shape): readonly LayerRow[] {
    return [layerRow('layer scale', input, [this.gamma])]
  }
}
