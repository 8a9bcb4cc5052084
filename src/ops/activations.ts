import { checkOptions, oneOfTexts, type Kinds } from '../base/options.ts'
import { elementwise, empty, launch } from '../tensor/launch.ts'
import { defineOp } from '../tensor/op.ts'
import type { Tensor } from '../tensor/tensor.ts'
import '../gpu/wgsl/activation/index.ts'

/** Numbers of the activations, as in shaders/lib/activations.wgsl. */
const KINDS = { sigmoid: 0, silu: 1, gelu: 2, geluTanh: 3, mish: 4, hardSigmoid: 5, hardSwish: 6, relu6: 7 } as const

/** Makes the operation of an activation. Backward keeps x. */
function activation(name: keyof typeof KINDS): (x: Tensor) => Tensor {
  const constants = { KIND: KINDS[name] }
  const op = defineOp<readonly [Tensor], undefined, undefined>({
    name,
    plan: () => undefined,
    forward(_plan, [x]) {
      const y = empty(x, name)
      const options = elementwise(y)
      const shape = { ...options.shape, C: x.shape.at(-1) ?? 1 }
      launch('activation/forward', { x, y }, { ...options, shape, constants })
      return y
    },
    backward(_plan, dy, { inputs: [x] }, _needs, target) {
      const dx = target(0)
      launch('activation/backward', { x, dy, dx }, { ...elementwise(dx), constants })
      return [dx]
    },
  })
  return (x) => op([x], undefined)
}

const ops = {
  sigmoid: activation('sigmoid'),
  silu: activation('silu'),
  gelu: activation('gelu'),
  geluTanh: activation('geluTanh'),
  mish: activation('mish'),
  hardSigmoid: activation('hardSigmoid'),
  hardSwish: activation('hardSwish'),
  relu6: activation('relu6'),
}

/** Options of `gelu`. */
export interface GeluOptions {
  /** Form of the function: 'none' computes it exactly, 'tanh' by the formula with tanh. Default 'none' */
  readonly approximate?: 'none' | 'tanh'
}

/** Checks of the options of `gelu`. */
export const GELU_KINDS: Kinds<GeluOptions> = { approximate: oneOfTexts('none', 'tanh') }

/**
 * Computes the logistic function.
 *
 *   y = 1 / (1 + exp(−x))
 *
 * @param x  any shape, f16 | f32
 * @returns  shape and type of x
 *
 * Source: torch.sigmoid.
 */
export function sigmoid(x: Tensor): Tensor {
  return ops.sigmoid(x)
}

/**
 * Computes the sigmoid linear unit, also known as Swish.
 *
 *   y = x / (1 + exp(−x))
 *
 * @param x  any shape, f16 | f32
 * @returns  shape and type of x
 *
 * Source: Elfwing et al. 2017, arXiv:1702.03118; torch.nn.SiLU.
 */
export function silu(x: Tensor): Tensor {
  return ops.silu(x)
}

/**
 * Computes the Gaussian error linear unit.
 *
 *   y = x·Φ(x),  Φ the distribution function of the normal distribution; with approximate: 'tanh'
 *   y = x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))
 *
 * @param x  any shape, f16 | f32
 * @returns  shape and type of x
 * @throws OptionError  if the form does not exist
 *
 * Source: Hendrycks & Gimpel 2016, arXiv:1606.08415; torch.nn.GELU.
 */
export function gelu(x: Tensor, options: GeluOptions = {}): Tensor {
  checkOptions('gelu', options, GELU_KINDS)
  return options.approximate === 'tanh' ? ops.geluTanh(x) : ops.gelu(x)
}

/**
 * Computes the Mish activation, a smooth relative of ReLU that passes small negative values.
 *
 *   y = x·tanh(ln(1 + exp(x)))
 *
 * @param x  any shape, f16 | f32
 * @returns  shape and type of x
 *
 * Source: Misra 2019, arXiv:1908.08681; torch.nn.Mish.
 */
export function mish(x: Tensor): Tensor {
  return ops.mish(x)
}

/**
 * Computes the piecewise linear form of the logistic function.
 *
 *   y = min(max(x + 3, 0), 6) / 6;  the slope is 1/6 between −3 and 3, otherwise 0, at −3 and 3 too
 *
 * @param x  any shape, f16 | f32
 * @returns  shape and type of x
 *
 * Source: torch.nn.Hardsigmoid.
 */
export function hardSigmoid(x: Tensor): Tensor {
  return ops.hardSigmoid(x)
}

/**
 * Computes the form of Swish that is made of parabola and lines.
 *
 *   y = x·min(max(x + 3, 0), 6) / 6;  the slope is x/3 + 1/2 from −3 to 3, at both too
 *
 * @param x  any shape, f16 | f32
 * @returns  shape and type of x
 *
 * Source: Howard et al. 2019, arXiv:1905.02244; torch.nn.Hardswish.
 */
export function hardSwish(x: Tensor): Tensor {
  return ops.hardSwish(x)
}

/**
 * Computes the rectified linear unit that ends at 6.
 *
 *   y = min(max(x, 0), 6);  the slope is 1 between 0 and 6, otherwise 0, at 0 and 6 too
 *
 * @param x  any shape, f16 | f32
 * @returns  shape and type of x
 *
 * Source: Howard et al. 2017, arXiv:1704.04861; torch.nn.ReLU6.
 */
export function relu6(x: Tensor): Tensor {
  return ops.relu6(x)
}
