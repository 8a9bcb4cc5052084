import { FlatOptimizer } from './flat-optimizer.ts'
import type { Hyperparameters, Optimizer, Trainable } from './optimizer.ts'
import '../gpu/wgsl/optim/radam.ts'
import '../gpu/wgsl/optim/radam-factors.ts'

/** Options of `radam`. Source of the defaults: fastai optimizer.py, RAdam. */
export interface RAdamOptions {
  /** Decay factor of the average of gradients, until a schedule sets it. Default 0.9 */
  readonly momentum?: number
  /** Decay factor of the average of squared gradients. Default 0.99 */
  readonly squareMomentum?: number
  /** Number added to the root of the average of squared gradients. Default 1e-5 */
  readonly eps?: number
  /** Weight decay, see `radam`. Default 0 */
  readonly weightDecay?: number
  /** Sharpness of a softplus of the denominator, which smooths small values (arXiv:1908.00700); 0 for none. Default 0 */
  readonly beta?: number
  /** True shrinks weights directly, false through the gradient. Default true */
  readonly decoupleWeightDecay?: boolean
  /** True applies weight decay to biases and normalization too. Default false */
  readonly decayNormAndBias?: boolean
}

/** Makes the optimizer of `radam`. @param firstHyperparameters  hyperparameters until a schedule sets them */
export function radamOptimizer(
  groups: readonly (readonly Trainable[])[],
  { momentum, squareMomentum, eps, weightDecay, beta, decoupleWeightDecay, decayNormAndBias }: Required<RAdamOptions>,
  firstHyperparameters: Hyperparameters,
): Optimizer {
  return new FlatOptimizer(groups, {
    name: 'radam',
    // `epsilon` is the name in checkpoints, including those of earlier versions.
    options: { momentum, squareMomentum, epsilon: eps, weightDecay, beta, decoupleWeightDecay, decayNormAndBias },
    factorShader: 'optim/radam-factors',
    updateShader: 'optim/radam',
    constants: { BETA: beta },
    factorCount: 12,
    countsSteps: true,
    moments: { means: 'grad_avg', squares: 'sqr_avg' },
    decayNormAndBias,
    firstHyperparameters,
    hyperparameterRow: ({ lr, momentum, weightDecay }) => [
      lr,
      decoupleWeightDecay ? 1 - lr * weightDecay : 1,
      decoupleWeightDecay ? 0 : weightDecay,
      momentum,
      1 - momentum,
      squareMomentum,
      1 - squareMomentum,
      eps,
    ],
  })
}
