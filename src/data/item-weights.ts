import type { Kind } from '../base/options.ts'

/**
 * Weight of each item in the choice of training batches: a function of its path and label, or 'balanced', with which all
 * classes come equally often.
 */
export type ItemWeights = 'balanced' | ((item: string, label: string) => number)

/** Check of `ItemWeights`. */
export const ITEM_WEIGHTS: Kind = {
  expected: "'balanced', or a function of an item and its label that returns its weight",
  is: (value) => value === 'balanced' || typeof value === 'function',
}
