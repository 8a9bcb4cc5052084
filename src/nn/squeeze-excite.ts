import { checkArgument, checkOptions, NUMBER, type Kind, type Kinds } from '../base/options.ts'
import { globalAvgPool } from '../ops/global-avg-pool.ts'
import { mul } from '../ops/mul.ts'
import { reshape } from '../ops/reshape.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Sigmoid } from './activations.ts'
import { Conv } from './conv.ts'
import { INIT, type Init } from './init.ts'
import { Module } from './module.ts'
import { Relu } from './relu.ts'
import { describeLayers, runLayers } from './sequential.ts'
import { layerRow, type LayerRow } from './summary.ts'

/** Options of a `SqueezeExcite`. */
export interface SqueezeExciteOptions {
  /** Channels of the input. */
  readonly channels: number
  /** Channels between the two convolutions. */
  readonly squeezed: number
  /** Source of the initial weights. */
  readonly init: Init
  /** Layer after the first convolution. Default `new Relu()` */
  readonly activation?: Module
  /** Layer that makes the factors, after the second convolution. Default `new Sigmoid()` */
  readonly gate?: Module
}

const LAYER: Kind = { expected: 'a layer, such as new Silu()', is: (value) => value instanceof Module }
const KINDS: Kinds<SqueezeExciteOptions> = {
  channels: NUMBER,
  squeezed: NUMBER,
  init: INIT,
  activation: LAYER,
  gate: LAYER,
}

/**
 * Weighs the channels of each image by what is in it.
 *
 *   y[n,h,w,c] = x[n,h,w,c]·gate(fc2(activation(fc1(mean of x[n] over its pixels))))[c]
 *
 * x [N,H,W,C] f16 | f32 → as x; fc1 and fc2 are 1×1 convolutions with bias.
 * Source: Hu et al. 2017, arXiv:1709.01507; torchvision.ops.SqueezeExcitation, whose names its state has.
 */
export class SqueezeExcite extends Module {
  static override readonly replayable: boolean = true
  private readonly layers: readonly Module[]

  constructor(options: SqueezeExciteOptions) {
    super()
    checkOptions('SqueezeExcite', options, KINDS)
    for (const name of ['channels', 'squeezed', 'init'] as const) {
      checkArgument('SqueezeExcite', name, options[name], KINDS[name])
    }
    const { channels, squeezed, init, activation = new Relu(), gate = new Sigmoid() } = options
    const sizes = { kernelSize: 1, bias: true, init }
    this.layers = [
      this.addChild('fc1', new Conv({ ...sizes, inChannels: channels, outChannels: squeezed })),
      this.addChild('activation', activation),
      this.addChild('fc2', new Conv({ ...sizes, inChannels: squeezed, outChannels: channels })),
      this.addChild('scale_activation', gate),
    ]
  }

  forward(x: Tensor): Tensor {
    const [N, , , C] = x.shape
    const means = reshape(globalAvgPool(x), [N, 1, 1, C])
    return mul(x, runLayers(this.layers, means))
  }

  override describe(input: Shape): readonly LayerRow[] {
    const [N, , , C] = input
    const rows = describeLayers(this.children(), [N, 1, 1, C])
    return [...rows, { ...layerRow('squeeze and excite', input, []), path: 'mul' }]
  }
}
