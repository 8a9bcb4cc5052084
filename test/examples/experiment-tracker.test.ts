/**
 * A callback that reports to a service such as Weights & Biases, in fifteen lines: what a run is, the loss of every step, the
 * metrics of every epoch, and its end. The client is any object with these functions; `npm install @wandb/sdk` has one.
 */
import { accuracy, Learner, type Callback } from 'wgrad'
import { expect, test } from 'vitest'
import { drawnImages, openQuietGpu, smallNetwork } from './drawn-images.ts'

const platform = await openQuietGpu()

/** Client of a service that keeps track of experiments. */
interface Tracker {
  config(values: object): void
  log(values: Readonly<Record<string, number>>, step: number): void
  finish(): Promise<void>
}

function track(run: Tracker): Callback {
  return {
    ...{ name: 'track', order: 70, duringLrFind: false },
    beforeFit: ({ epochs, loaders, loss, seed }) =>
      run.config({ epochs, seed, batchSize: loaders.batchSize, loss: loss.name }),
    lossKnown: ({ recorder }, { iteration, loss }) =>
      run.log({ train_loss: loss, lr: recorder.lrs[iteration] }, iteration),
    afterEpoch({ recorder: { rows }, trainIteration }) {
      const { validLoss = NaN, metrics = {} } = rows.at(-1) ?? {}
      run.log({ valid_loss: validLoss, ...metrics }, trainIteration - 1)
    },
    afterFit: () => run.finish(),
  }
}

test('a tracker receives the settings, every step, every epoch, and the end', async () => {
  const calls: string[] = []
  const run: Tracker = {
    config: (values) => calls.push(`config ${JSON.stringify(values)}`),
    log: (values, step) => calls.push(`${step} ${Object.keys(values).join(' ')}`),
    finish: () => Promise.resolve(void calls.push('finish')),
  }
  const learner = new Learner(await drawnImages(platform), smallNetwork(), {
    metrics: [accuracy],
    callbacks: [track(run)],
  })
  await learner.fitOneCycle(2, 1e-2)

  // Eighty images in batches of twenty make four steps of an epoch.
  const steps = (from: number) => [0, 1, 2, 3].map((step) => `${from + step} train_loss lr`)
  expect(calls).toEqual([
    'config {"epochs":2,"seed":1,"batchSize":20,"loss":"crossEntropy"}',
    ...steps(0),
    '3 valid_loss accuracy',
    ...steps(4),
    '7 valid_loss accuracy',
    'finish',
  ])
})
