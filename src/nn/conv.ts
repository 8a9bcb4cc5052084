import { requireInteger, requireRange } from '../base/check.ts'
import { ShapeError } from '../base/errors.ts'
import { checkArgument, checkOptions, FLAG, NUMBER, oneOfTexts, type Kinds } from '../base/options.ts'
import { conv2d, type Conv2dOptions } from '../ops/conv2d.ts'
import { elementCount, windowOutput, type Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { filled, INIT, NORMAL_START, type Fan, type Init } from './init.ts'
import { Module } from './module.ts'
import { Parameter } from './parameter.ts'
import { layerRow, type LayerRow } from './summary.ts'

/** Options of a `Conv`. */
export interface ConvOptions {
  /** Channels of the input. */
  readonly inChannels: number
  /** Channels of the output. */
  readonly outChannels: number
  /** Rows and columns of the filter. Default 3. */
  readonly kernelSize?: number
  /** Step of the filter in pixels. Default 1 */
  readonly stride?: number
  /**
   * Zero pixels added on each side. Default: as many as keep the size of the image at stride 1 for an odd filter, 0 for an
   * even one, which cannot be padded alike on both sides
   */
  readonly padding?: number
  /** Distance of the taps of the filter in pixels. Default 1 */
  readonly dilation?: number
  /** Groups that channels fall into; each output sees the channels of its own. `inChannels` for a depthwise convolution. Default 1 */
  readonly groups?: number
  /** Add a bias, which is 0 at first. Default false */
  readonly bias?: boolean
  /** Source of the initial weights. */
  readonly init: Init
  /** Side whose variance the initial weights keep (see `kaimingNormal`). Default 'in' */
  readonly fan?: Fan
  /** Initial weights: 'kaiming' for ReLU, by `fan`, 'normal' of deviation 0.02 (ConvNeXt's). Default 'kaiming' */
  readonly start?: 'kaiming' | 'normal'
}

/** Checks of the options of `Conv`. */
export const CONV_KINDS: Kinds<ConvOptions> = {
  inChannels: NUMBER,
  outChannels: NUMBER,
  kernelSize: NUMBER,
  stride: NUMBER,
  padding: NUMBER,
  dilation: NUMBER,
  groups: NUMBER,
  bias: FLAG,
  init: INIT,
  fan: oneOfTexts('in', 'out'),
  start: oneOfTexts('kaiming', 'normal'),
}

/**
 * 2-D convolution, padded with (kernelSize − 1)·dilation / 2 zeros on each side unless `padding` says otherwise. Filters of even
 * size are padded with none: 2×2 of stride 2 and 4×4 of stride 4 divide an image into patches.
 *
 * x [N,H,W,C] f16 | f32 → [N,P,Q,O], [N,⌈H/stride⌉,⌈W/stride⌉,O] for odd filters without dilation; weight [O,R,S,C/groups], bias [O]
 * @throws OptionError  when an option is out of range
 * Source: torch.nn.Conv2d; without bias as fastai layers.py, ConvLayer, makes it before a batch norm.
 */
export class Conv extends Module {
  static override readonly replayable: boolean = true
  readonly weight: Parameter
  readonly bias: Parameter | undefined
  private readonly options: Required<Pick<Conv2dOptions, 'stride' | 'padding' | 'dilation' | 'groups'>>

  constructor(options: ConvOptions) {
    super()
    checkOptions('Conv', options, CONV_KINDS)
    for (const name of ['inChannels', 'outChannels', 'init'] as const) {
      checkArgument('Conv', name, options[name], CONV_KINDS[name])
    }
    const { inChannels, outChannels, kernelSize = 3, stride = 1, dilation = 1, groups = 1, init, fan } = options
    requireInteger('Conv', 'kernelSize', kernelSize, { from: 1 })
    requireInteger('Conv', 'dilation', dilation, { from: 1 })
    requireInteger('Conv', 'groups', groups, { from: 1 })
    const divides = inChannels % groups === 0 && outChannels % groups === 0
    requireRange('Conv', { groups, inChannels, outChannels }, divides, 'a divisor of both')
    const { padding = kernelSize % 2 === 1 ? ((kernelSize - 1) * dilation) / 2 : 0 } = options
    requireInteger('Conv', 'padding', padding, { from: 0 })
    const shape = [outChannels, kernelSize, kernelSize, inChannels / groups]
    const weights = options.start === 'normal' ? init.normal(shape, NORMAL_START) : init.kaimingNormal(shape, fan)
    this.weight = this.addParameter(new Parameter('weight', shape, 'weight', weights))
    if (options.bias === true) {
      this.bias = this.addParameter(new Parameter('bias', [outChannels], 'bias', filled([outChannels], 0)))
    }
    this.options = { stride, padding, dilation, groups }
  }

  forward(x: Tensor): Tensor {
    return conv2d(x, this.weight.as(x.dtype), { ...this.options, bias: this.bias?.value })
  }

  override describe(input: Shape): readonly LayerRow[] {
    const [N, H, W, C] = input
    const [O, R, S, channels] = this.weight.shape
    const { stride, padding, dilation, groups } = this.options
    if (input.length !== 4 || C !== channels * groups) {
      throw new ShapeError(this.weight.path, 'the input does not fit the convolution', {
        given: { input, weight: this.weight.shape },
        expected: `[N,H,W,${channels * groups}]`,
      })
    }
    const [P, Q] = [
      [H, R],
      [W, S],
    ].map(([size, taps]) => windowOutput(size, dilation * (taps - 1) + 1, stride, padding))
    const output = [N, P, Q, O]
    const kind = groups === 1 ? 'conv' : channels === 1 && groups === O ? 'depthwise conv' : `conv in ${groups} groups,`
    const spread = dilation === 1 ? '' : `, dilation ${dilation}`
    const layer = `${kind} ${R}×${S}${stride === 1 ? '' : ` / ${stride}`}${spread}`
    return [layerRow(layer, output, this.parameters(), 2 * elementCount(output) * R * S * channels)]
  }
}
