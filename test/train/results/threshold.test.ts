import { expect, test } from 'vitest'
import type { ItemPredictions } from '../../../src/train/fit/evaluation.ts'
import { suggestThreshold } from '../../../src/train/results/threshold.ts'

/** Predictions of class 0 for two classes with these probabilities. */
function predictions(items: readonly (readonly [probability: number, label: number])[]): ItemPredictions {
  return {
    predictions: {
      rows: items.length,
      columns: 2,
      data: Float32Array.from(items.flatMap(([probability]) => [probability, 1 - probability])),
    },
    targets: Uint32Array.from(items, ([, label]) => label),
    losses: new Float32Array(items.length),
    items: Uint32Array.from(items.keys()),
  }
}

/** 0.501, 0.502, … in another order than by size. */
const hundred = Array.from({ length: 100 }, (_, i) => [0.501 + ((i * 37) % 100) / 1000, 0] as const)

test('95 of 100 right answers stay known', () => {
  const { threshold, ...rest } = suggestThreshold(predictions(hundred))
  expect(threshold).toBeCloseTo(0.506, 6)
  expect(rest).toEqual({ right: 100, wrong: 0, rightKnown: 95, wrongKnown: 0 })
  for (const rate of [0.01, 0.5, 0.9, 0.99, 1]) {
    expect(suggestThreshold(predictions(hundred), { truePositiveRate: rate }).rightKnown).toBe(Math.round(100 * rate))
  }
})

test('wrong answers and items that were not right do not move it', () => {
  const wrong = [0.5005, 0.503, 0.7, 0.99].map((probability) => [probability, 1] as const)
  const found = suggestThreshold(predictions([...wrong, ...hundred]))
  expect(found).toEqual({ ...suggestThreshold(predictions(hundred)), wrong: 4, wrongKnown: 2 })
  // An item whose largest probability is that of the second class.
  expect(suggestThreshold(predictions([[0.2, 1], ...hundred])).right).toBe(101)
})

test('few items: the smallest; ties stay known together', () => {
  const few = [0.9, 0.6, 0.8].map((probability) => [probability, 0] as const)
  expect(suggestThreshold(predictions(few))).toMatchObject({ rightKnown: 3, right: 3 })
  expect(suggestThreshold(predictions(few)).threshold).toBeCloseTo(0.6, 6)
  const alike = Array.from({ length: 40 }, () => [0.7, 0] as const)
  expect(suggestThreshold(predictions(alike)).rightKnown).toBe(40)
})

test('nothing to go by is refused', () => {
  expect(() => suggestThreshold(predictions([[0.9, 1]]))).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: suggestThreshold: no item is classified correctly, so there is nothing to go by
      items  1
      Fix: train the model first, or choose a threshold yourself: { threshold: 0.5 }]
  `)
  expect(() => suggestThreshold({ ...predictions(hundred), targets: new Uint32Array() })).toThrow(
    'suggestThreshold: there are no labels',
  )
  expect(() => suggestThreshold(predictions([]))).toThrow('suggestThreshold: there are no labels')
  expect(() => suggestThreshold(predictions(hundred), { truePositiveRate: 0 })).toThrow(
    'truePositiveRate is out of range',
  )
  // NaN is no right answer.
  expect(suggestThreshold(predictions([[NaN, 0], ...hundred])).right).toBe(100)
})
