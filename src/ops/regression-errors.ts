import { defineOp } from '../tensor/op.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { elementLoss } from './plans/element-loss.ts'
import type { ElementReduction } from './plans/element-passes.ts'

/** Options of `squaredError` and `absoluteError`. */
export interface RegressionErrorOptions {
  /** Reduction of the errors: one number by their 'mean' or 'sum', [N] by the mean of each of the 'rows', or 'none'. Default mean */
  readonly reduction?: ElementReduction
}

/** Options of `huberError`. */
export interface HuberErrorOptions extends RegressionErrorOptions {
  /** Distance up to which the error is quadratic, above 0. Default 1 */
  readonly delta?: number
  /** Divide by delta, as PyTorch's smooth_l1_loss does, whose beta it is. Default false, as huber_loss */
  readonly smooth?: boolean
}

const squared = defineOp(elementLoss('squaredError', 'squared'))
const absolute = defineOp(elementLoss('absoluteError', 'absolute'))
const huber = defineOp(elementLoss('huberError', 'huber'))

/**
 * Computes the squared error of outputs.
 *
 *   error[n,k] = (outputs[n,k] − targets[n,k])²
 *
 * @param outputs  [N,K] f16 | f32
 * @param targets  [N,K] f32
 * @returns        [] f32, the mean over all N·K; with reduction 'rows' [N], with 'none' [N,K] f32. All arithmetic is f32.
 * @throws ShapeError, DtypeError  if the targets do not fit the outputs
 *
 * The gradient flows to the outputs, in their type. Source: PyTorch mse_loss.
 */
export function squaredError(outputs: Tensor, targets: Tensor, options: RegressionErrorOptions = {}): Tensor {
  return squared([outputs, targets, undefined, undefined], options)
}

/**
 * Computes the absolute error of outputs, |outputs[n,k] − targets[n,k]|; its gradient at 0 is 0. Shapes, reductions and
 * errors are those of `squaredError`. Source: PyTorch l1_loss.
 */
export function absoluteError(outputs: Tensor, targets: Tensor, options: RegressionErrorOptions = {}): Tensor {
  return absolute([outputs, targets, undefined, undefined], options)
}

/**
 * Computes Huber's error, which is quadratic for small distances d = |outputs[n,k] − targets[n,k]| and linear beyond, so that
 * single wrong targets count less:
 *
 *   error[n,k] = d²/2 where d < delta, otherwise delta·(d − delta/2);  with `smooth` this divided by delta
 *
 * Shapes and reductions are those of `squaredError`.
 *
 * @throws OptionError  if delta is not above 0, and as squaredError
 * Source: Huber 1964; PyTorch huber_loss and smooth_l1_loss.
 */
export function huberError(outputs: Tensor, targets: Tensor, options: HuberErrorOptions = {}): Tensor {
  return huber([outputs, targets, undefined, undefined], options)
}
