import { checkOptions, FLAG, NUMBER, type Kinds } from '../base/options.ts'
import { checkHyperparameters, FlatOptimizer } from './flat-optimizer.ts'
import type { OptimizerFactory } from './optimizer.ts'
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

const KINDS: Kinds<SgdOptions> = {
  momentum: NUMBER,
  weightDecay: NUMBER,
  decoupleWeightDecay: FLAG,
  decayNormAndBias: FLAG,
}

/** Learning rate until a schedule sets it. Source: fastai learner.py, Learner. */
const FIRST_LR = 1e-3

/**
 * Stochastic gradient descent with momentum. For every parameter p with gradient g:
 *
 *   p ← p·(1 − lr·weightDecay)            weights only, not biases or normalization
 *   m ← momentum·m + g
 *   p ← p − lr·m
 *
 * With decoupleWeightDecay false, g + weightDecay·p replaces g and the first line is skipped, as in
 * torch.optim.SGD. Without momentum m is g. All f32.
 *
 * @throws OptionError  if an option is out of range
 * Source: fastai optimizer.py, SGD; Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 1.
 */
export function sgd(options: SgdOptions = {}): OptimizerFactory {
  checkOptions('sgd', options, KINDS)
  const { momentum = 0, weightDecay = 0, decoupleWeightDecay = true, decayNormAndBias = false } = options
  const firstHyperparameters = { lr: FIRST_LR, momentum, weightDecay }
  checkHyperparameters('sgd', firstHyperparameters)
  return (groups) =>
    new FlatOptimizer(groups, {
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
