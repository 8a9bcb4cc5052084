import { checkArgument, checkOptions, FUNCTION } from '../base/options.ts'
import { gelu, GELU_KINDS, hardSigmoid, hardSwish, relu6, sigmoid, silu, type GeluOptions } from '../ops/activations.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Module } from './module.ts'
import { layerRow, type LayerRow } from './summary.ts'

/**
 * Layer without parameters that applies an operation to each element, such as one of `defineOp`. x any shape, f16 | f32 → as x.
 * The operation must launch the same work every time.
 */
export class Elementwise extends Module {
  static override readonly replayable: boolean = true
  private readonly label: string
  private readonly operation: (x: Tensor) => Tensor

  /** @param label  name in summaries */
  constructor(label: string, operation: (x: Tensor) => Tensor) {
    super()
    checkArgument('Elementwise', 'operation', operation, FUNCTION)
    this.label = label
    this.operation = operation
  }

  forward(x: Tensor): Tensor {
    return this.operation(x)
  }

  override describe(input: Shape): readonly LayerRow[] {
    return [layerRow(this.label, input, [])]
  }
}

/** Logistic function, 1 / (1 + exp(−x)); see `sigmoid`. x any shape, f16 | f32 → as x. */
export class Sigmoid extends Elementwise {
  constructor() {
    super('sigmoid', sigmoid)
  }
}

/** Sigmoid linear unit, x / (1 + exp(−x)), also known as Swish; see `silu`. x any shape, f16 | f32 → as x. */
export class Silu extends Elementwise {
  constructor() {
    super('silu', silu)
  }
}

/** Gaussian error linear unit, x·Φ(x); see `gelu`. x any shape, f16 | f32 → as x. */
export class Gelu extends Elementwise {
  constructor(options: GeluOptions = {}) {
    checkOptions('Gelu', options, GELU_KINDS)
    super(options.approximate === 'tanh' ? 'gelu by tanh' : 'gelu', (x) => gelu(x, options))
  }
}

/** Piecewise linear form of the logistic function, min(max(x + 3, 0), 6) / 6; see `hardSigmoid`. x any shape, f16 | f32 → as x. */
export class HardSigmoid extends Elementwise {
  constructor() {
    super('hard sigmoid', hardSigmoid)
  }
}

/** Form of Swish made of parabola and lines, x·min(max(x + 3, 0), 6) / 6; see `hardSwish`. x any shape, f16 | f32 → as x. */
export class HardSwish extends Elementwise {
  constructor() {
    super('hard swish', hardSwish)
  }
}

/** Rectified linear unit that ends at 6, min(max(x, 0), 6); see `relu6`. x any shape, f16 | f32 → as x. */
export class Relu6 extends Elementwise {
  constructor() {
    super('relu6', relu6)
  }
}
