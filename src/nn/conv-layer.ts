import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { BatchNorm } from './batch-norm.ts'
import { Conv, type ConvOptions } from './conv.ts'
import { Module } from './module.ts'
import { rowsUnder, type LayerRow } from './summary.ts'

export interface ConvLayerOptions extends ConvOptions {
  /** ReLU at the end. Default true. */
  readonly relu?: boolean
  /** What the batch norm's weight starts at. Default 1. */
  readonly normWeight?: 0 | 1
}

/**
 * Convolution, batch norm and, unless left out, ReLU; the last two are one pass over the activations.
 *
 * x [N,H,W,C] → [N,⌈H/stride⌉,⌈W/stride⌉,O]. Source: fastai layers.py, ConvLayer.
 */
export class ConvLayer extends Module {
  readonly conv: Conv
  readonly norm: BatchNorm
  private readonly relu: boolean

  constructor({ relu = true, normWeight = 1, ...conv }: ConvLayerOptions) {
    super()
    this.conv = this.addChild('0', new Conv(conv))
    this.norm = this.addChild('1', new BatchNorm(conv.outChannels, { weight: normWeight }))
    this.relu = relu
  }

  forward(x: Tensor): Tensor {
    return this.norm.forward(this.conv.forward(x), { relu: this.relu })
  }

  /** ReLU(norm(conv(x)) + residual): the end of a residual block. */
  forwardOnto(residual: Tensor, x: Tensor): Tensor {
    return this.norm.forward(this.conv.forward(x), { relu: true, residual })
  }

  describe(input: Shape): readonly LayerRow[] {
    const conv = rowsUnder('0', this.conv.describe(input))
    return [...conv, ...rowsUnder('1', this.norm.describe(conv[0].output))]
  }
}
