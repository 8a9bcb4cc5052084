import { requireNumber } from '../base/check.ts'
import { checkOptions, FLAG, NUMBER, type Kinds } from '../base/options.ts'
import { checkHyperparameters, FlatOptimizer } from './flat-optimizer.ts'
import type { OptimizerFactory } from './optimizer.ts'
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

const KINDS: Kinds<AdamOptions> = {
  squareMomentum: NUMBER,
  eps: NUMBER,
  weightDecay: NUMBER,
  decayNormAndBias: FLAG,
}

/** Hyperparameters until a schedule sets them. */
const FIRST_HYPERPARAMETERS = { lr: 1e-3, momentum: 0.9 }

/**
 * Adam with decoupled weight decay. For every parameter p with gradient g, t counting its steps:
 *
 *   p ← p·(1 − lr·weightDecay)            weights only, not biases or normalization
 *   m ← momentum·m + (1 − momentum)·g
 *   v ← squareMomentum·v + (1 − squareMomentum)·g²
 *   p ← p − lr·(m / (1 − momentum^t)) / (√(v / (1 − squareMomentum^t)) + eps)
 *
 * momentum is that of the current step, also in momentum^t. All f32.
 *
 * @throws OptionError  if an option is out of range
 * Source: Kingma & Ba 2015, arXiv:1412.6980; Loshchilov & Hutter 2019, arXiv:1711.05101; fastai optimizer.py, Adam.
 */
export function adam(options: AdamOptions = {}): OptimizerFactory {
  checkOptions('adam', options, KINDS)
  const { squareMomentum = 0.99, eps = 1e-5, weightDecay = 0.01, decayNormAndBias = false } = options
  const firstHyperparameters = { ...FIRST_HYPERPARAMETERS, weightDecay }
  requireNumber('adam', 'squareMomentum', squareMomentum, { from: 0, below: 1 })
  requireNumber('adam', 'eps', eps, { above: 0 })
  checkHyperparameters('adam', firstHyperparameters)
  return (groups) =>
    new FlatOptimizer(groups, {
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
