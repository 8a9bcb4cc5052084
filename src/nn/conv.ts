import { requireRange } from '../base/check.ts'
import { ShapeError } from '../base/errors.ts'
import { checkArgument, checkOptions, NUMBER, type Kinds } from '../base/options.ts'
import { conv2d } from '../ops/conv2d.ts'
import { elementCount, windowOutput, type Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { INIT, type Fan, type Init } from './init.ts'
import { Module } from './module.ts'
import { Parameter } from './parameter.ts'
import { layerRow, type LayerRow } from './summary.ts'

/** Options of a `Conv`. */
export interface ConvOptions {
  /** Channels of the input. */
  readonly inChannels: number
  /** Channels of the output. */
  readonly outChannels: number
  /** Rows and columns of the filter, an odd number. Default 3. */
  readonly kernelSize?: number
  /** Step of the filter in pixels. Default 1 */
  readonly stride?: number
  /** Source of the initial weights. */
  readonly init: Init
  /** Side whose variance the initial weights keep (see `kaimingNormal`). Default 'in' */
  readonly fan?: Fan
}

/** Checks of the options of `Conv`. */
export const CONV_KINDS: Kinds<ConvOptions> = {
  inChannels: NUMBER,
  outChannels: NUMBER,
  kernelSize: NUMBER,
  stride: NUMBER,
  init: INIT,
  fan: { expected: "'in' or 'out'", is: (value) => value === 'in' || value === 'out' },
}

/**
 * 2-D convolution without bias, padded with (kernelSize − 1) / 2 zeros on each side.
 *
 * x [N,H,W,C] f16 | f32 → [N,⌈H/stride⌉,⌈W/stride⌉,O]; weight [O,R,S,C]
 * @throws OptionError  when the window is even, so that it cannot be padded alike on both sides
 * Source: torch.nn.Conv2d as fastai layers.py, ConvLayer, makes it before a batch norm.
 */
export class Conv extends Module {
  static override readonly replayable: boolean = true
  readonly weight: Parameter
  private readonly stride: number
  private readonly padding: number

  constructor(options: ConvOptions) {
    super()
    checkOptions('Conv', options, CONV_KINDS)
    for (const name of ['inChannels', 'outChannels', 'init'] as const) {
      checkArgument('Conv', name, options[name], CONV_KINDS[name])
    }
    const { inChannels, outChannels, kernelSize = 3, stride = 1, init, fan } = options
    const odd = Number.isInteger(kernelSize) && kernelSize >= 1 && kernelSize % 2 === 1
    requireRange('Conv', { kernelSize }, odd, 'an odd whole number')
    const shape = [outChannels, kernelSize, kernelSize, inChannels]
    this.weight = this.addParameter(new Parameter('weight', shape, 'weight', init.kaimingNormal(shape, fan)))
    this.stride = stride
    this.padding = (kernelSize - 1) / 2
  }

  forward(x: Tensor): Tensor {
    return conv2d(x, this.weight.as(x.dtype), { stride: this.stride, padding: this.padding })
  }

  describe(input: Shape): readonly LayerRow[] {
    const [N, H, W, C] = input
    const [O, R, S, inChannels] = this.weight.shape
    if (input.length !== 4 || C !== inChannels) {
      throw new ShapeError(this.weight.path, 'the input does not fit the convolution', {
        given: { input, weight: this.weight.shape },
        expected: `[N,H,W,${inChannels}]`,
      })
    }
    const output = [N, windowOutput(H, R, this.stride, this.padding), windowOutput(W, S, this.stride, this.padding), O]
    const step = this.stride === 1 ? '' : ` / ${this.stride}`
    return [layerRow(`conv ${R}×${S}${step}`, output, [this.weight], 2 * elementCount(output) * R * S * C)]
  }
}
