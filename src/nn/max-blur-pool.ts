import { maxBlurPoolOutput } from '../ops/plans/max-blur-pool.ts'
import { partWithGpu } from '../tensor/load-with-gpu.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Module } from './module.ts'
import { layerRow, type LayerRow } from './summary.ts'

/** The operation, of which few networks make use. */
const pool = partWithGpu(async () => (await import('../ops/max-blur-pool.ts')).maxBlurPool)

/** Maximum of every 2×2 pixels, blurred and downsampled by 2 (see `maxBlurPool`). x [N,H,W,C] → [N,⌊H/2⌋,⌊W/2⌋,C]. */
export class MaxBlurPool extends Module {
  static override readonly replayable: boolean = true

  forward(x: Tensor): Tensor {
    return pool('MaxBlurPool')(x)
  }

  override describe(input: Shape): readonly LayerRow[] {
    return [layerRow('max blur pool 2×2 / 2', maxBlurPoolOutput(input), [])]
  }
}
