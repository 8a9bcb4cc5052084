import { requireInteger, requireNumber } from '../base/check.ts'
import { checkArgument, checkOptions, FUNCTION, NUMBER, type Kinds } from '../base/options.ts'
import { partWithGpu } from '../tensor/load-with-gpu.ts'
import type { LookaheadOptions } from './lookahead-optimizer.ts'
import type { OptimizerFactory } from './optimizer.ts'
import { radam, RADAM_KINDS, type RAdamOptions } from './radam.ts'

export type { LookaheadOptions } from './lookahead-optimizer.ts'

const KINDS: Kinds<LookaheadOptions> = { k: NUMBER, alpha: NUMBER }

const optimizer = partWithGpu(() => import('./lookahead-optimizer.ts'))

/**
 * Wraps an optimizer so that its weights are pulled back regularly. After every k of its steps, for every parameter p
 * and its slow weights s, which are p before the first step:
 *
 *   s ← s + alpha·(p − s),  p ← s
 *
 * Steps that the inner optimizer skips because of Inf or NaN do not count. Where weights are loaded without the state of the
 * optimizer, the slow ones begin anew with them. (In fastai those of before pull the loaded weights back.)
 *
 * @throws OptionError  if an option is out of range
 * Source: Zhang et al. 2019, arXiv:1907.08610; fastai optimizer.py, Lookahead.
 */
export function lookahead(factory: OptimizerFactory, options: LookaheadOptions = {}): OptimizerFactory {
  checkArgument('lookahead', 'factory', factory, FUNCTION)
  checkOptions('lookahead', options, KINDS)
  const { k = 6, alpha = 0.5 } = options
  requireInteger('lookahead', 'k', k, { from: 1 })
  requireNumber('lookahead', 'alpha', alpha, { from: 0, to: 1 })
  return (groups) => {
    const { Lookahead } = optimizer('lookahead')
    return new Lookahead(factory(groups), { k, alpha })
  }
}

/**
 * Lookahead over RAdam, with defaults of momentum 0.95, weight decay 0.01 and eps 1e-6.
 *
 * @throws OptionError  if an option is out of range
 * Source: fastai optimizer.py, ranger.
 */
export function ranger(options: RAdamOptions & LookaheadOptions = {}): OptimizerFactory {
  checkOptions('ranger', options, { ...RADAM_KINDS, ...KINDS })
  const { k, alpha, momentum = 0.95, weightDecay = 0.01, eps = 1e-6, ...inner } = options
  return lookahead(radam({ momentum, weightDecay, eps, ...inner }), { k, alpha })
}
