import { requireNumber } from '../base/check.ts'
import { checkOptions, FLAG, NUMBER, type Kinds } from '../base/options.ts'
import { partWithGpu } from '../tensor/load-with-gpu.ts'
import type { RAdamOptions } from './radam-optimizer.ts'
import { checkHyperparameters, FIRST_LR } from './hyperparameters.ts'
import type { OptimizerFactory } from './optimizer.ts'

export type { RAdamOptions } from './radam-optimizer.ts'

/** Checks of the options of `radam`. */
export const RADAM_KINDS: Kinds<RAdamOptions> = {
  momentum: NUMBER,
  squareMomentum: NUMBER,
  eps: NUMBER,
  weightDecay: NUMBER,
  beta: NUMBER,
  decoupleWeightDecay: FLAG,
  decayNormAndBias: FLAG,
}

const optimizer = partWithGpu(() => import('./radam-optimizer.ts'))

/**
 * Rectified Adam: Adam whose first steps, while the average of squares is unreliable, do without it. For every
 * parameter p with gradient g, t counting its steps:
 *
 *   p ← p·(1 − lr·weightDecay)            weights only, not biases or normalization
 *   m ← momentum·m + (1 − momentum)·g
 *   v ← squareMomentum·v + (1 − squareMomentum)·g²
 *   p ← p − lr·u·(m / (1 − momentum^t)) / d
 *
 *   r∞ = 2 / (1 − squareMomentum) − 1,  r = r∞ − 2t·squareMomentum^t / (1 − squareMomentum^t)
 *   r > 5:  d = √(v / (1 − squareMomentum^t)) + eps,  u² = (r − 4)(r − 2)r∞ / ((r∞ − 4)(r∞ − 2)r)
 *   otherwise: d = u = 1
 *
 * With beta ≠ 0 the d of r > 5 is ln(1 + exp(beta·d)) / beta. With decoupleWeightDecay false, g + weightDecay·p replaces
 * g and the first line is skipped. momentum is that of the current step, also in momentum^t. All f32.
 *
 * @throws OptionError  if an option is out of range
 * Source: Liu et al. 2020, arXiv:1908.03265, algorithm 2; with its threshold 5 and decoupled decay, fastai optimizer.py, RAdam.
 */
export function radam(options: RAdamOptions = {}): OptimizerFactory {
  checkOptions('radam', options, RADAM_KINDS)
  const { momentum = 0.9, squareMomentum = 0.99, eps = 1e-5, weightDecay = 0, beta = 0 } = options
  const { decoupleWeightDecay = true, decayNormAndBias = false } = options
  const firstHyperparameters = { lr: FIRST_LR, momentum, weightDecay }
  requireNumber('radam', 'squareMomentum', squareMomentum, { from: 0, below: 1 })
  requireNumber('radam', 'eps', eps, { above: 0 })
  requireNumber('radam', 'beta', beta, { from: 0 })
  checkHyperparameters('radam', firstHyperparameters)
  const settings = { momentum, squareMomentum, eps, weightDecay, beta, decoupleWeightDecay, decayNormAndBias }
  return (groups) => optimizer('radam').radamOptimizer(groups, settings, firstHyperparameters)
}
