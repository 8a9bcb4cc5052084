import { OptionError } from '../base/errors.ts'
import { sigmoid } from '../ops/activations.ts'
import { cast } from '../ops/cast.ts'
import { linear } from '../ops/linear.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Module } from './module.ts'
import { StateTensor } from './parameter.ts'
import { layerRow, type LayerRow } from './summary.ts'

/** Lowest and highest value of every output, or of each. */
export type OutputRange = readonly [low: number | readonly number[], high: number | readonly number[]]

/**
 * Last layer of a network whose outputs are numbers from a known range, such as coordinates or ages:
 *
 *   y[n,k] = low[k] + (high[k] − low[k]) / (1 + exp(−x[n,k]))
 *
 * The network then learns as well in any unit. The range should be somewhat wider than that of the targets, as its ends are
 * never reached. x [N,K] f16 | f32 → [N,K] f32. The range is saved with the weights, as `span` and `low`.
 * Source: fastai layers.py, SigmoidRange, and `y_range` of its vision_learner.
 *
 * @param outputs  K
 * @throws OptionError  unless there is one range, or one per output, each from lower to higher
 */
export class SigmoidRange extends Module {
  static override readonly replayable: boolean = true
  /** Differences of the ends, on the diagonal of a matrix, and the lower ends. */
  private readonly span: StateTensor
  private readonly low: StateTensor

  constructor(outputs: number, range: OutputRange) {
    super()
    const [low, high] = range.map((end) => (typeof end === 'number' ? new Array<number>(outputs).fill(end) : end))
    const isRange = low.length === outputs && high.length === outputs && low.every((from, i) => from < high[i])
    if (!isRange || ![...low, ...high].every(Number.isFinite)) {
      throw new OptionError('SigmoidRange', 'this is not the range of the outputs', {
        given: { outputs, range },
        expected: '[low, high], both numbers or lists of one number per output, the low ones below the high ones',
      })
    }
    const diagonal = low.flatMap((from, i) => low.map((_, j) => (i === j ? high[i] - from : 0)))
    this.span = this.addBuffer(new StateTensor('span', [outputs, outputs], () => diagonal))
    this.low = this.addBuffer(new StateTensor('low', [outputs], () => low))
  }

  forward(x: Tensor): Tensor {
    return linear(cast(sigmoid(x), 'f32'), this.span.value, this.low.value)
  }

  override describe(input: Shape): readonly LayerRow[] {
    return [layerRow('sigmoid range', input, [])]
  }
}
