import { OptionError } from '../base/errors.ts'
import { ANY, checkOptions, NUMBER, type Kinds } from '../base/options.ts'
import { mish } from '../ops/activations.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { BatchNorm } from './batch-norm.ts'
import { Conv, CONV_KINDS, type ConvOptions } from './conv.ts'
import { Module } from './module.ts'
import { rowsUnder, type LayerRow } from './summary.ts'

/** Names of the activations a layer may end with, as in options and exported models. */
export const ACTIVATIONS = ['relu', 'mish', 'none'] as const
/** Name of an activation. */
export type Activation = (typeof ACTIVATIONS)[number]

/** Options of a `ConvLayer`. */
export interface ConvLayerOptions extends ConvOptions {
  /** Activation at the end, by its name, or as a layer such as `new Relu6()`. Default 'relu' */
  readonly activation?: Activation | Module
  /** Initial weight of the batch norm. Default 1 */
  readonly normWeight?: 0 | 1
}

const KINDS: Kinds<ConvLayerOptions> = { ...CONV_KINDS, activation: ANY, normWeight: NUMBER }

/**
 * Convolution, batch norm and an optional activation. ReLU is fused into the pass of the norm; the others are a pass of
 * their own, whose input is kept for backward.
 *
 * x [N,H,W,C] → [N,⌈H/stride⌉,⌈W/stride⌉,O]. Source: fastai layers.py, ConvLayer.
 *
 * @throws OptionError  if the activation does not exist
 */
export class ConvLayer extends Module {
  static override readonly replayable: boolean = true
  readonly conv: Conv
  readonly norm: BatchNorm
  private readonly activation: Activation
  private readonly after: Module | undefined

  constructor(options: ConvLayerOptions) {
    super()
    checkOptions('ConvLayer', options, KINDS)
    const { activation = 'relu', normWeight = 1, ...conv } = options
    const isLayer = activation instanceof Module
    if (!isLayer && !ACTIVATIONS.includes(activation)) {
      throw new OptionError('ConvLayer', 'unknown activation', {
        given: { activation },
        expected: `${ACTIVATIONS.join(', ')}, or a layer`,
      })
    }
    this.conv = this.addChild('0', new Conv(conv))
    this.norm = this.addChild('1', new BatchNorm(conv.outChannels, { weight: normWeight }))
    this.activation = isLayer ? 'none' : activation
    if (isLayer) this.after = this.addChild('2', activation)
  }

  forward(x: Tensor): Tensor {
    return this.finish(this.conv.forward(x))
  }

  /** Computes activation(norm(conv(x)) + residual), the end of a residual block. */
  forwardOnto(residual: Tensor, x: Tensor): Tensor {
    return this.finish(this.conv.forward(x), residual)
  }

  override describe(input: Shape): readonly LayerRow[] {
    const conv = rowsUnder('0', this.conv.describe(input))
    const norm = rowsUnder('1', this.norm.describe(conv[0].output))
    return [...conv, ...norm, ...(this.after ? rowsUnder('2', this.after.describe(conv[0].output)) : [])]
  }

  private finish(x: Tensor, residual?: Tensor): Tensor {
    const y = this.norm.forward(x, { relu: this.activation === 'relu', residual })
    if (this.after) return this.after.forward(y)
    return this.activation === 'mish' ? mish(y) : y
  }
}
