import { concat } from '../ops/concat.ts'
import { globalAvgPool } from '../ops/global-avg-pool.ts'
import { globalMaxPool } from '../ops/global-max-pool.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Module } from './module.ts'
import { layerRow, type LayerRow } from './summary.ts'

/**
 * Maximum and mean over height and width, side by side. x [N,H,W,C] → [N,2C], the maxima first.
 * Source: fastai layers.py, AdaptiveConcatPool2d.
 */
export class ConcatPool extends Module {
  static override readonly replayable: boolean = true

  forward(x: Tensor): Tensor {
    return concat(globalMaxPool(x), globalAvgPool(x))
  }

  override describe([N, , , C]: Shape): readonly LayerRow[] {
    return [layerRow('concat pool', [N, 2 * C], [])]
  }
}
