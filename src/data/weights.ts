import { OptionError } from '../base/errors.ts'
import type { ItemWeights } from './item-weights.ts'
import type { Loaders } from './loaders.ts'
import { requireOneClass, rowOf, type TargetCodec, type TargetNumbers } from './targets.ts'

/** Returns how many of some items have each label. */
export function countsOf(labels: TargetNumbers, items: Iterable<number>, classes: number): Uint32Array {
  const counts = new Uint32Array(classes)
  for (const item of items) counts[labels[item]]++
  return counts
}

/**
 * Returns a weight per class, in the order of the vocabulary, that makes all classes count the same in a loss, for
 * `crossEntropy({ weight })`: those of few images a large one, on average 1 per training item.
 *
 *   weight[k] = N / (C·n[k])   N training items, n[k] of them of class k, C classes that occur; 0 for one that does not
 *
 * @throws OptionError  if the targets are not one class each
 * Source: scikit-learn utils/class_weight.py, compute_class_weight('balanced').
 */
export function classWeights({ train, vocab }: Pick<Loaders, 'train' | 'vocab'>): number[] {
  requireOneClass('classWeights', train.target)
  const counts = countsOf(train.labels, train.items, vocab.length)
  const present = counts.filter((count) => count > 0).length
  return Array.from(counts, (count) => (count === 0 ? 0 : train.items.length / (present * count)))
}

/**
 * Returns the weight of each training item, by its place among them.
 *
 * @throws OptionError  if a weight is negative or not finite, or all are 0, or 'balanced' is asked for where items have no
 *   class
 */
export function itemWeightsOf(
  weights: ItemWeights,
  {
    items,
    labels,
    target,
    train,
  }: {
    /** Paths of all items. */
    readonly items: readonly string[]
    /** Targets of all items. */
    readonly labels: TargetNumbers
    readonly target: TargetCodec
    /** Numbers of the items to train on. */
    readonly train: Uint32Array
  },
): Float64Array {
  if (weights === 'balanced') requireOneClass('itemWeights', target, 'give a function: (item, label) => weight')
  const counts = weights === 'balanced' ? countsOf(labels, train, target.vocab.length) : []
  const weightOf =
    weights === 'balanced'
      ? (item: number) => 1 / counts[labels[item]]
      : (item: number) => weights(items[item], target.text(rowOf(labels, target, item)))
  const found = Float64Array.from(train, weightOf)
  const wrong = found.findIndex((weight) => !(weight >= 0 && weight < Infinity))
  if (wrong >= 0) {
    throw new OptionError('loaders', 'itemWeights gives an item no weight', {
      given: { item: items[train[wrong]], weight: found[wrong] },
      expected: 'a finite number from 0 on',
    })
  }
  if (found.some((weight) => weight > 0)) return found
  throw new OptionError('loaders', 'itemWeights gives every item the weight 0', {
    given: { items: found.length },
    expected: 'at least one weight above 0',
  })
}
