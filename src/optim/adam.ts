import { requireNumber } from '../base/check.ts'
import { checkOptions, FLAG, NUMBER, type Kinds } from '../base/options.ts'
import { partWithGpu } from '../tensor/load-with-gpu.ts'
import type { AdamOptions } from './adam-optimizer.ts'
import { checkHyperparameters, FIRST_LR } from './hyperparameters.ts'
import type { OptimizerFactory } from './optimizer.ts'

export type { AdamOptions } from './adam-optimizer.ts'

const KINDS: Kinds<AdamOptions> = {
  squareMomentum: NUMBER,
  eps: NUMBER,
  weightDecay: NUMBER,
  decayNormAndBias: FLAG,
}

/** Momentum until a schedule sets it. Source: fastai optimizer.py, Adam. */
const FIRST_MOMENTUM = 0.9

const optimizer = partWithGpu(() => import('./adam-optimizer.ts'))

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
  const firstHyperparameters = { lr: FIRST_LR, momentum: FIRST_MOMENTUM, weightDecay }
  requireNumber('adam', 'squareMomentum', squareMomentum, { from: 0, below: 1 })
  requireNumber('adam', 'eps', eps, { above: 0 })
  checkHyperparameters('adam', firstHyperparameters)
  const settings = { squareMomentum, eps, weightDecay, decayNormAndBias }
  return (groups) => optimizer('adam').adamOptimizer(groups, settings, firstHyperparameters)
}
