import { requireNumber } from '../base/check.ts'
import type { Hyperparameters } from './optimizer.ts'

/** Learning rate until a schedule sets it. Source: fastai learner.py, Learner. */
export const FIRST_LR = 1e-3

/** Requires hyperparameters in range. @throws OptionError  if one is out of range */
export function checkHyperparameters(where: string, { lr, momentum, weightDecay }: Hyperparameters): void {
  requireNumber(where, 'lr', lr, { from: 0 })
  requireNumber(where, 'momentum', momentum, { from: 0, below: 1 })
  requireNumber(where, 'weightDecay', weightDecay, { from: 0 })
}
