import { ANY, checkArgument, checkOptions, objectWith, type Kinds } from '../base/options.ts'
import { passesWithGpu } from '../tensor/load-with-gpu.ts'
import { defineOp } from '../tensor/op.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { BatchNormOptions } from './plans/batch-norm-passes.ts'

export type { BatchNormOptions } from './plans/batch-norm-passes.ts'

const KINDS: Kinds<BatchNormOptions> = {
  runningMean: ANY,
  runningVar: ANY,
  training: ANY,
  momentum: ANY,
  eps: ANY,
  residual: ANY,
  relu: ANY,
}

const op = defineOp({
  name: 'batchNorm',
  required: 3,
  ...passesWithGpu('batchNorm', async () => (await import('./plans/batch-norm-passes.ts')).batchNormPasses),
})

/**
 * Normalizes every channel over all other axes, and adds a residual and applies a ReLU in the same pass, if requested.
 *
 *   y = (x - mean) / √(variance + eps) · weight + bias  [+ residual]  [then max(·, 0)]
 *
 * In training, mean and (biased) variance are those of the batch, and the running statistics become
 * (1 - momentum)·running + momentum·batch, with the unbiased variance. Otherwise they are the running ones.
 *
 * @param x       [...,C] f16 | f32, channels last
 * @param weight  γ, [C] f32
 * @param bias    β, [C] f32
 * @returns       shape and type of x; statistics are f32
 * @throws ShapeError   if a shape does not fit x, or training receives one value per channel
 * @throws DtypeError   when parameters or statistics are not f32
 * @throws OptionError  if momentum or eps is out of range
 *
 * Gradients flow to x and residual (of their type), weight and bias (f32).
 * Source: Ioffe & Szegedy 2015, arXiv:1502.03167; defaults and running variance as PyTorch, nn.BatchNorm2d.
 */
export function batchNorm(x: Tensor, weight: Tensor, bias: Tensor, options: BatchNormOptions): Tensor {
  checkArgument('batchNorm', 'options', options, objectWith('{ runningMean, runningVar, training, … }'))
  checkOptions('batchNorm', options, KINDS)
  return op([x, weight, bias, options.residual], options)
}
