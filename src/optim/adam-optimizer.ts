import { FlatOptimizer } from './flat-optimizer.ts'
import type { Hyperparameters, Optimizer, Trainable } from './optimizer.ts'
import '../gpu/wgsl/optim/adam.ts'
import '../gpu/wgsl/optim/adam-factors.ts'

/** Options of `adam`. Source of the defaults: fastai optimizer.py, Adam. */
export interface AdamOptions {
  /** Decay factor of the average of squared gradients. Default 0.99 */
  readonly squareMomentum?: number
  /** Number added to the root of the average of squared gradients. Default 1e-5 */
  readonly eps?: number
  /** Fraction of lr by which weights shrink at each step. Default 0.01 */
  readonly weightDecay?: number
  /** True applies weight decay to biases and normalization too. Default false */
  readonly decayNormAndBias?: boolean
}

/** Makes the optimizer of `adam`. @param firstHyperparameters  hyperparameters until a schedule sets them */
export function adamOptimizer(
  groups: readonly (readonly Trainable[])[],
  { squareMomentum, eps, weightDecay, decayNormAndBias }: Required<AdamOptions>,
  firstHyperparameters: Hyperparameters,
): Optimizer {
  return new FlatOptimizer(groups, {
    name: 'adam',
    // `epsilon` is the name in checkpoints, including those of earlier versions.
    options: { squareMomentum, epsilon: eps, weightDecay, decayNormAndBias },
    factorShader: 'optim/adam-factors',
    updateShader: 'optim/adam',
    factorCount: 8,
    countsSteps: true,
    moments: { means: 'grad_avg', squares: 'sqr_avg' },
    decayNormAndBias,
    firstHyperparameters,
    hyperparameterRow: ({ lr, momentum, weightDecay }) => [
      lr,
      1 - lr * weightDecay,
      momentum,
      1 - momentum,
      squareMomentum,
      1 - squareMomentum,
      eps,
      0,
    ],
  })
}
