import { flatten } from '../ops/reshape.ts'
import { elementCount, type Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Module } from './module.ts'
import { layerRow, type LayerRow } from './summary.ts'

/**
 * All axes except the first as one, in the order of wgrad's layout, [H,W,C] (PyTorch's is [C,H,W]; after a global pool there is
 * no difference). x [N,…,C] f16 | f32 → [N, product of the others]; without a copy, so C must be a multiple of four, or all.
 */
export class Flatten extends Module {
  static override readonly replayable: boolean = true

  forward(x: Tensor): Tensor {
    return flatten(x)
  }

  override describe([N, ...rest]: Shape): readonly LayerRow[] {
    return [layerRow('flatten', [N, elementCount(rest)], [])]
  }
}
