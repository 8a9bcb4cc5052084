import { checkOptions, FLAG, NUMBER, type Kinds } from '../base/options.ts'
import { partWithGpu } from '../tensor/load-with-gpu.ts'
import type { SgdOptions } from './sgd-optimizer.ts'
import { checkHyperparameters, FIRST_LR } from './hyperparameters.ts'
import type { OptimizerFactory } from './optimizer.ts'

export type { SgdOptions } from './sgd-optimizer.ts'

const KINDS: Kinds<SgdOptions> = {
  momentum: NUMBER,
  weightDecay: NUMBER,
  decoupleWeightDecay: FLAG,
  decayNormAndBias: FLAG,
}

const optimizer = partWithGpu(() => import('./sgd-optimizer.ts'))

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
  const settings = { momentum, weightDecay, decoupleWeightDecay, decayNormAndBias }
  return (groups) => optimizer('sgd').sgdOptimizer(groups, settings, firstHyperparameters)
}
