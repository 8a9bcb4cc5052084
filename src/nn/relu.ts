import { relu } from '../ops/relu.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Module } from './module.ts'
import { layerRow, type LayerRow } from './summary.ts'

/** Rectified linear unit, max(x, 0). x any shape, f16 | f32 → as x. */
export class Relu extends Module {
  static override readonly replayable: boolean = true

  forward(x: Tensor): Tensor {
    return relu(x)
  }

  override describe(input: Shape): readonly LayerRow[] {
    return [layerRow('relu', input, [])]
  }
}
