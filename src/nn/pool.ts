import { checkArgument, checkOptions, NUMBER } from '../base/options.ts'
import { avgPool } from '../ops/avg-pool.ts'
import { globalAvgPool } from '../ops/global-avg-pool.ts'
import { maxPool } from '../ops/max-pool.ts'
import { windowOutput, type Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Module } from './module.ts'
import { layerRow, type LayerRow } from './summary.ts'

/**
 * Maximum of each window. x [N,H,W,C] → [N,H′,W′,C], H′ = ⌊(H + 2·padding − kernelSize) / stride⌋ + 1. Default stride: the
 * kernelSize; padding: 0. Source: torch.nn.MaxPool2d.
 */
export class MaxPool extends Module {
  static override readonly replayable: boolean = true
  private readonly options: { readonly kernelSize: number; readonly stride: number; readonly padding: number }

  constructor(options: { readonly kernelSize: number; readonly stride?: number; readonly padding?: number }) {
    super()
    checkOptions('MaxPool', options, { kernelSize: NUMBER, stride: NUMBER, padding: NUMBER })
    checkArgument('MaxPool', 'kernelSize', options.kernelSize, NUMBER)
    const { kernelSize, stride = kernelSize, padding = 0 } = options
    this.options = { kernelSize, stride, padding }
  }

  forward(x: Tensor): Tensor {
    return maxPool(x, this.options)
  }

  override describe([N, H, W, C]: Shape): readonly LayerRow[] {
    const { kernelSize, stride, padding } = this.options
    const output = [N, windowOutput(H, kernelSize, stride, padding), windowOutput(W, kernelSize, stride, padding), C]
    return [layerRow(`max pool ${kernelSize}×${kernelSize} / ${stride}`, output, [])]
  }
}

/**
 * Mean of adjacent windows of `stride` × `stride` pixels; windows that extend beyond the edge average the pixels
 * inside. x [N,H,W,C] → [N,⌈H/stride⌉,⌈W/stride⌉,C]. Source: torch.nn.AvgPool2d(stride, ceil_mode=True).
 */
export class AvgPool extends Module {
  static override readonly replayable: boolean = true
  private readonly stride: number

  constructor(stride: number) {
    super()
    checkArgument('AvgPool', 'stride', stride, NUMBER)
    this.stride = stride
  }

  forward(x: Tensor): Tensor {
    return avgPool(x, { kernelSize: this.stride, stride: this.stride, ceilMode: true })
  }

  override describe([N, H, W, C]: Shape): readonly LayerRow[] {
    const output = [N, Math.ceil(H / this.stride), Math.ceil(W / this.stride), C]
    return [layerRow(`avg pool ${this.stride}×${this.stride} / ${this.stride}`, output, [])]
  }
}

/** Mean over height and width. x [N,H,W,C] → [N,C]. */
export class GlobalAvgPool extends Module {
  static override readonly replayable: boolean = true

  forward(x: Tensor): Tensor {
    return globalAvgPool(x)
  }

  override describe([N, , , C]: Shape): readonly LayerRow[] {
    return [layerRow('global avg pool', [N, C], [])]
  }
}
