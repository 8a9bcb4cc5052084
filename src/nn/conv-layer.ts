import { OptionError } from '../base/errors.ts'
import { mish } from '../ops/mish.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { BatchNorm } from './batch-norm.ts'
import { Conv, type ConvOptions } from './conv.ts'
import { Module } from './module.ts'
import { rowsUnder, type LayerRow } from './summary.ts'

/** The functions that a layer may end with, by the names that options and exported models have for them. */
export const ACTIVATIONS = ['relu', 'mish', 'none'] as const
export type Activation = (typeof ACTIVATIONS)[number]

export interface ConvLayerOptions extends ConvOptions {
  /** At the end. Default 'relu' */
  readonly activation?: Activation
  /** What the batch norm's weight starts at. Default 1. */
  readonly normWeight?: 0 | 1
}

/**
 * Convolution, batch norm and, unless it is 'none', an activation. ReLU is one pass over the activations with the norm;
 * Mish one of its own, which needs what went into it in backward.
 *
 * x [N,H,W,C] → [N,⌈H/stride⌉,⌈W/stride⌉,O]. Source: fastai layers.py, ConvLayer.
 *
 * @throws OptionError  when there is no such activation
 */
export class ConvLayer extends Module {
  static override readonly replayable: boolean = true
  readonly conv: Conv
  readonly norm: BatchNorm
  private readonly activation: Activation

  constructor({ activation = 'relu', normWeight = 1, ...conv }: ConvLayerOptions) {
    super()
    if (!ACTIVATIONS.includes(activation)) {
      throw new OptionError('ConvLayer', 'there is no such activation', {
        given: { activation },
        expected: ACTIVATIONS.join(', '),
      })
    }
    this.conv = this.addChild('0', new Conv(conv))
    this.norm = this.addChild('1', new BatchNorm(conv.outChannels, { weight: normWeight }))
    this.activation = activation
  }

  forward(x: Tensor): Tensor {
    return this.finish(this.conv.forward(x))
  }

  /** activation(norm(conv(x)) + residual): the end of a residual block. */
  forwardOnto(residual: Tensor, x: Tensor): Tensor {
    return this.finish(this.conv.forward(x), residual)
  }

  describe(input: Shape): readonly LayerRow[] {
    const conv = rowsUnder('0', this.conv.describe(input))
    return [...conv, ...rowsUnder('1', this.norm.describe(conv[0].output))]
  }

  private finish(x: Tensor, residual?: Tensor): Tensor {
    const y = this.norm.forward(x, { relu: this.activation === 'relu', residual })
    return this.activation === 'mish' ? mish(y) : y
  }
}
