import { maxBlurPool, maxBlurPoolOutput } from '../ops/max-blur-pool.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Module } from './module.ts'
import { layerRow, type LayerRow } from './summary.ts'

/** Maximum of every 2×2 pixels, blurred and downsampled by 2 (see `maxBlurPool`). x [N,H,W,C] → [N,⌊H/2⌋,⌊W/2⌋,C]. */
export class MaxBlurPool extends Module {
  static override readonly replayable: boolean = true

  forward(x: Tensor): Tensor {
    return maxBlurPool(x)
  }

  override describe(input: Shape): readonly LayerRow[] {
    return [layerRow('max blur pool 2×2 / 2', maxBlurPoolOutput(input), [])]
  }
}
