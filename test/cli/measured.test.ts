import { expect, test } from 'vitest'
import { measureTargets } from '../../src/cli/measured.ts'
import { categoryTarget } from '../../src/data/targets.ts'
import type { ItemPredictions } from '../../src/train/fit/evaluation.ts'

/** Predictions of three images of the last two of so many classes, of which one is wrong. */
function results(classes: number): ItemPredictions {
  const data = new Float32Array(3 * classes)
  const predicted = [classes - 2, classes - 1, classes - 1]
  predicted.forEach((label, row) => (data[row * classes + label] = 1))
  return {
    predictions: { rows: 3, columns: classes, data },
    targets: Uint32Array.of(classes - 2, classes - 1, classes - 2),
    losses: Float32Array.of(0, 0, 9),
    items: Uint32Array.of(0, 1, 2),
  }
}

const measured = (classes: number) =>
  measureTargets(results(classes), categoryTarget(Array.from({ length: classes }, (_, i) => `c${i}`)), undefined)

test('of classes by the thousand the document has the confused pairs, and no matrix is made', () => {
  // A matrix of them would take 7 GB.
  const { json, text } = measured(30_000)
  expect(json.accuracy).toBe(2 / 3)
  const { classes, ...confusion } = json.confusion as { readonly classes: readonly string[] }
  expect(classes).toHaveLength(30_000)
  expect(confusion).toEqual({ pairs: [{ actual: 'c29998', predicted: 'c29999', count: 1 }] })
  expect(text).toContain('1 × c29998 taken for c29999')
})

test('of fewer it has the matrix', () => {
  const classes = ['c0', 'c1', 'c2']
  const counts = [
    [0, 0, 0],
    [0, 1, 1],
    [0, 0, 1],
  ]
  expect(measured(3).json.confusion).toEqual({ classes, counts })
})
