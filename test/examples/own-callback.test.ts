/**
 * A callback of your own: an object with a name, an order and a handler for each event that it cares about. Handlers
 * receive the state of the fit, those within a step also the step. `learner.showTrainingLoop()` prints all events.
 */
import { Learner, type Callback } from 'wgrad'
import { Cancel } from 'wgrad/train'
import { expect, test } from 'vitest'
import { drawnImages, openQuietGpu, smallNetwork } from './drawn-images.ts'

const platform = await openQuietGpu()

/** Ends the fit after a number of training steps, and says in the log how long an epoch was. */
function stopAfter(steps: number, log: (line: string) => void): Callback {
  return {
    name: 'stopAfter',
    // After the recorder (50), so that the last step is in the history.
    order: 70,
    runsOn: 'train',
    beforeEpoch({ epoch, epochs }) {
      log(`epoch ${epoch + 1} of ${epochs}`)
    },
    // Within a step work is recorded for the GPU, so nothing can be awaited and no number is known yet.
    afterBatch({ trainIteration }, { training, loss }) {
      // The step just made counts already.
      log(`step ${trainIteration}, training ${training}, loss [${loss?.shape.join()}]`)
      if (trainIteration >= steps) throw new Cancel('fit', `${steps} steps are made`)
    },
    // Losses become known later, in order.
    lossKnown(_state, { iteration, loss }) {
      log(`loss of step ${iteration} is finite: ${Number.isFinite(loss)}`)
    },
    // Between steps a handler may wait, here for a validation.
    async afterFit(state) {
      const { loss } = await state.validate()
      log(`validation loss is above 0: ${loss > 0}`)
    },
  }
}

test('a callback follows the fit and ends it', async () => {
  const learner = new Learner(await drawnImages(platform), smallNetwork())
  const lines: string[] = []
  await learner.fit(3, 1e-3, { callbacks: [stopAfter(6, (line) => lines.push(line))] })

  // Four steps make an epoch, so that the sixth is the second of epoch 2.
  expect(lines.filter((line) => line.startsWith('epoch'))).toEqual(['epoch 1 of 3', 'epoch 2 of 3'])
  expect(lines.filter((line) => line.startsWith('step'))).toEqual(
    [1, 2, 3, 4, 5, 6].map((step) => `step ${step}, training true, loss []`),
  )
  expect(lines.filter((line) => line.startsWith('loss'))).toEqual(
    [0, 1, 2, 3, 4, 5].map((step) => `loss of step ${step} is finite: true`),
  )
  expect(lines.at(-1)).toBe('validation loss is above 0: true')
  expect(learner.recorder.losses.length).toBe(6)
})
