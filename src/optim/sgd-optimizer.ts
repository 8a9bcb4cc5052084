import { FlatOptimizer } from './flat-optimizer.ts'
import type { Hyperparameters, Optimizer, Trainable } from './optimizer.ts'
import '../gpu/wgsl/optim/sgd.ts'
import '../gpu/wgsl/optim/sgd-factors.ts'
import '../gpu/wgsl/optim/sgd-momentum.ts'

/** Options of `sgd`. Source of the defaults: fastai optimizer.py, SGD. */
export interface SgdOptions {
  /** Decay factor of the sum of gradients. 0 keeps no sum, even if a schedule sets another value later. Default 0 */
  readonly momentum?: number
  /** Weight decay, see `sgd`. Default 0 */
  readonly weightDecay?: number
  /** True shrinks weights directly, false through the gradient. Default true */
  readonly decoupleWeightDecay?: boolean
  /** True applies weight decay to biases and normalization too. Default false */
  readonly decayNormAndBias?: boolean
}

/** Makes the optimizer of `sgd`. @param firstHyperparameters  hyperparameters until a schedule sets them */
export function sgdOptimizer(
  groups: readonly (readonly Trainable[])[],
  { momentum, weightDecay, decoupleWeightDecay, decayNormAndBias }: Required<SgdOptions>,
  firstHyperparameters: Hyperparameters,
): Optimizer {
  return new FlatOptimizer(groups, {
    name: 'sgd',
    options: { momentum, weightDecay, decoupleWeightDecay, decayNormAndBias },
    factorShader: 'optim/sgd-factors',
    updateShader: momentum === 0 ? 'optim/sgd' : 'optim/sgd-momentum',
    factorCount: 8,
    countsSteps: false,
    moments: momentum === 0 ? {} : { sums: 'grad_avg' },
    decayNormAndBias,
    firstHyperparameters,
    hyperparameterRow: ({ lr, momentum, weightDecay }) => [
      lr,
      decoupleWeightDecay ? 1 - lr * weightDecay : 1,
      decoupleWeightDecay ? 0 : weightDecay,
      momentum,
    ],
  })
}
