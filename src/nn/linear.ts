import { ShapeError } from '../base/errors.ts'
import { checkArgument, checkOptions, FLAG, NUMBER, oneOfTexts, type Kinds } from '../base/options.ts'
import { linear } from '../ops/linear.ts'
import { elementCount, type Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { filled, INIT, NORMAL_START, type Init } from './init.ts'
import { Module } from './module.ts'
import { Parameter } from './parameter.ts'
import { layerRow, type LayerRow } from './summary.ts'

/** Options of a `Linear` layer. */
export interface LinearOptions {
  /** Add a bias. Default true */
  readonly bias?: boolean
  /**
   * Initial numbers: 'kaiming' has normal weights for ReLU and a bias of 0 (fastai's), 'uniform' has both evenly spread
   * over ±1/√inputs (PyTorch's), 'normal' has normal weights of deviation 0.02 and a bias of 0 (ConvNeXt's). Default 'kaiming'
   */
  readonly start?: 'kaiming' | 'uniform' | 'normal'
}

const KINDS: Kinds<LinearOptions> = { bias: FLAG, start: oneOfTexts('kaiming', 'uniform', 'normal') }

/**
 * Fully connected layer, of every pixel where x has more axes.
 *
 *   y[n,…,o] = Σ_k x[n,…,k]·weight[o,k] + bias[o]
 *
 * x [N,K] or [N,…,K], f16 | f32 → [N,…,O] of the same type; weight [O,K], bias [O].
 * Source: fastai vision/models/xresnet.py, init_cnn; torch.nn.Linear, reset_parameters.
 */
export class Linear extends Module {
  static override readonly replayable: boolean = true
  readonly weight: Parameter
  readonly bias: Parameter | undefined

  constructor(inputs: number, outputs: number, init: Init, options: LinearOptions = {}) {
    super()
    checkArgument('Linear', 'inputs', inputs, NUMBER)
    checkArgument('Linear', 'outputs', outputs, NUMBER)
    checkArgument('Linear', 'init', init, INIT)
    checkOptions('Linear', options, KINDS)
    const { bias = true, start = 'kaiming' } = options
    const shape = [outputs, inputs]
    const bound = 1 / Math.sqrt(inputs)
    const weights = {
      kaiming: () => init.kaimingNormal(shape),
      uniform: () => init.uniform(shape, bound),
      normal: () => init.normal(shape, NORMAL_START),
    }
    this.weight = this.addParameter(new Parameter('weight', shape, 'weight', weights[start]()))
    if (!bias) return
    const biases = start === 'uniform' ? init.uniform([outputs], bound) : filled([outputs], 0)
    this.bias = this.addParameter(new Parameter('bias', [outputs], 'bias', biases))
  }

  forward(x: Tensor): Tensor {
    return linear(x, this.weight.as(x.dtype), this.bias?.value)
  }

  override describe(input: Shape): readonly LayerRow[] {
    const K = input[input.length - 1]
    const [O, inputs] = this.weight.shape
    if (input.length < 2 || K !== inputs) {
      throw new ShapeError(this.weight.path, 'the input does not fit the layer', {
        given: { input, weight: this.weight.shape },
        expected: `[N,${inputs}] or [N,…,${inputs}]`,
      })
    }
    const output = [...input.slice(0, -1), O]
    return [layerRow('linear', output, this.parameters(), 2 * elementCount(output) * K)]
  }
}
