import { defineOp } from '../tensor/op.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { elementLoss } from './plans/element-loss.ts'
import type { ElementReduction } from './plans/element-passes.ts'

/** Options of `sigmoidCrossEntropy`. */
export interface SigmoidCrossEntropyOptions {
  /** Reduction of the losses: one number by their 'mean' or 'sum', [N] by the mean of each of the 'rows', or 'none'. Default mean */
  readonly reduction?: ElementReduction
  /** Factor of the loss of each column, [K] f32. The mean still divides by N·K. Default: 1 for all. No gradient flows to it. */
  readonly weight?: Tensor | undefined
  /** Factor of the part of each column that a positive target has, [K] f32. Default: 1 for all. No gradient flows to it. */
  readonly posWeight?: Tensor | undefined
}

const op = defineOp(elementLoss('sigmoidCrossEntropy', 'crossEntropy'))

/**
 * Computes the binary cross-entropy between the logistic function of logits and targets, column by column: each row may have
 * several positive targets, or none.
 *
 *   loss[n,k] = −weight[k]·(posWeight[k]·y·log σ(x) + (1 − y)·log(1 − σ(x))),  x = logits[n,k], y = targets[n,k]
 *   dx = weight[k]·((1 − y)·σ(x) − posWeight[k]·y·σ(−x))·dloss
 *
 * computed as (1 − y)·max(x, 0) + t·max(−x, 0) + (1 − y + t)·log(1 + exp(−|x|)) with t = posWeight[k]·y, in which nothing
 * overflows, and small losses keep their digits (PyTorch's form rounds those of certain outputs to 0).
 *
 * @param logits   [N,K] f16 | f32
 * @param targets  [N,K] f32, 0 … 1
 * @returns        [] f32, the mean over all N·K; with reduction 'rows' [N], with 'none' [N,K] f32. All arithmetic is f32.
 * @throws ShapeError, DtypeError  if targets or weights do not fit the logits
 *
 * The gradient flows to the logits, in their type. Source: PyTorch binary_cross_entropy_with_logits.
 */
export function sigmoidCrossEntropy(logits: Tensor, targets: Tensor, options: SigmoidCrossEntropyOptions = {}): Tensor {
  const { weight, posWeight, ...others } = options
  return op([logits, targets, weight, posWeight], others)
}
