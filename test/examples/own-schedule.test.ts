/**
 * A schedule of your own: a function from the progress of a fit, 0 to 1, to a learning rate. `combineSchedules` puts parts
 * together, and `scheduler` applies them before every training batch.
 */
import { Learner } from 'wgrad'
import { combineSchedules, cosineSchedule, linearSchedule, scheduler, type Schedule } from 'wgrad/train'
import { expect, test } from 'vitest'
import { drawnImages, openQuietGpu, smallNetwork } from './drawn-images.ts'

const platform = await openQuietGpu()

/** Rises from 0 for a quarter of the fit, falls by steps of a half for a half, and then along a cosine to 0. */
function stairs(highest: number): Schedule {
  const falling: Schedule = (progress) => highest / 2 ** Math.floor(3 * progress)
  return combineSchedules([0.25, 0.5, 0.25], [linearSchedule(0, highest), falling, cosineSchedule(highest / 4, 0)])
}

test('the learning rate of every step is that of the schedule', async () => {
  const learner = new Learner(await drawnImages(platform), smallNetwork())
  const lr = stairs(8e-3)
  await learner.fit(5, 8e-3, { callbacks: [scheduler([{ lr }])] })

  // 5 epochs of 4 batches.
  const expected = Array.from({ length: 20 }, (_, step) => lr(step / 20))
  expect(learner.recorder.lrs.length).toBe(20)
  learner.recorder.lrs.forEach((rate, step) => expect(rate).toBeCloseTo(expected[step], 9))
  expect(Math.max(...expected)).toBe(8e-3)
})
