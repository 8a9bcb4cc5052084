import { ShapeError } from '../base/errors.ts'
import { checkArgument, NUMBER } from '../base/options.ts'
import { linear } from '../ops/linear.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { filled, INIT, type Init } from './init.ts'
import { Module } from './module.ts'
import { Parameter } from './parameter.ts'
import { layerRow, type LayerRow } from './summary.ts'

/**
 * Every output a weighted sum of every input.
 *
 *   y[n,o] = Σ_k x[n,k]·weight[o,k] + bias[o]
 *
 * x [N,K] f16 | f32 → [N,O] as x; weight [O,K], bias [O]. The bias starts at 0 (fastai vision/models/xresnet.py, init_cnn).
 */
export class Linear extends Module {
  static override readonly replayable: boolean = true
  readonly weight: Parameter
  readonly bias: Parameter

  constructor(inputs: number, outputs: number, init: Init) {
    super()
    checkArgument('Linear', 'inputs', inputs, NUMBER)
    checkArgument('Linear', 'outputs', outputs, NUMBER)
    checkArgument('Linear', 'init', init, INIT)
    const shape = [outputs, inputs]
    this.weight = this.addParameter(new Parameter('weight', shape, 'weight', init.kaimingNormal(shape)))
    this.bias = this.addParameter(new Parameter('bias', [outputs], 'bias', filled([outputs], 0)))
  }

  forward(x: Tensor): Tensor {
    return linear(x, this.weight.as(x.dtype), this.bias.value)
  }

  describe(input: Shape): readonly LayerRow[] {
    const [N, K] = input
    const [O, inputs] = this.weight.shape
    if (input.length !== 2 || K !== inputs) {
      throw new ShapeError(this.weight.path, 'the input does not fit the layer', {
        given: { input, weight: this.weight.shape },
        expected: `[N,${inputs}]`,
      })
    }
    return [layerRow('linear', [N, O], [this.weight, this.bias], 2 * N * O * K)]
  }
}
