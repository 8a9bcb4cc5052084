/**
 * A metric of your own: a named function of the outputs for all validation items, one row each, and their labels. Its name
 * is a column in the table of epochs.
 */
import { Learner } from 'wgrad'
import { argmax, type Predictions } from 'wgrad/train'
import { expect, test } from 'vitest'
import { drawnImages, openQuietGpu, smallNetwork } from './drawn-images.ts'

const platform = await openQuietGpu()

/** Cost of a class taken for another: mistakes among the first five classes cost 1, all others 4. */
const COSTS = (label: number, predicted: number) => (label === predicted ? 0 : label < 5 && predicted < 5 ? 1 : 4)

/** Mean cost of the answers. */
function cost(predictions: Predictions, targets: ArrayLike<number>): number {
  const answers = argmax(predictions)
  return answers.reduce((sum, answer, row) => sum + COSTS(targets[row], answer), 0) / predictions.rows
}

test('every epoch has its column', async () => {
  const learner = new Learner(await drawnImages(platform), smallNetwork(), { metrics: [cost] })
  await learner.fit(2, 1e-3)
  const { rows } = learner.recorder
  const { predictions, targets } = await learner.getPredictions()
  expect(rows.map(({ metrics }) => Object.keys(metrics))).toEqual([['cost'], ['cost']])
  expect(rows[1].metrics.cost).toBeCloseTo(cost(predictions, targets), 6)
  // Guessing costs 0.1 · 0 + 0.2 · 1 + 0.7 · 4 on average, a network of two steps little less.
  expect(rows[1].metrics.cost).toBeGreaterThan(0)
  expect(rows[1].metrics.cost).toBeLessThanOrEqual(4)
})
