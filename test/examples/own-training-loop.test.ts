/**
 * A training loop of your own, without a learner: batches, model, loss, `backward` and optimizer. A learner adds
 * callbacks, mixed precision, replayed steps, files and figures.
 */
import { adam, crossEntropy } from 'wgrad'
import { backward, item, noGrad, read, release, scope, softmax } from 'wgrad/tensor'
import { LossScaler } from 'wgrad/train'
import { expect, test } from 'vitest'
import { drawnImages, openQuietGpu, smallNetwork } from './drawn-images.ts'

const platform = await openQuietGpu()

test('a loop written out trains the network', async () => {
  const loaders = await drawnImages(platform)
  const model = smallNetwork()
  const loss = crossEntropy()
  // One group of parameters, with one learning rate.
  const optimizer = adam({ weightDecay: 0 })([model.parameters()])
  // In f32 the scale is 1; with { mixed: true } the input is asked for in f16.
  const scaler = new LossScaler({ mixed: false })

  const epochLosses: number[] = []
  for (let epoch = 0; epoch < 6; epoch++) {
    let total = 0
    model.train()
    for await (const batch of loaders.train.batches({ epoch })) {
      optimizer.setHyperparameters([{ lr: 1e-2 }])
      // Work of a step is recorded, and its buffers return to the pool, except that of the loss.
      const value = scope(() => {
        const outputs = model.forward(batch.input('f32'))
        const mean = loss.mean(outputs, batch.targets)
        backward(mean, scaler.scale)
        optimizer.step(scaler)
        optimizer.zeroGradients()
        return mean
      })
      // Reading waits for the GPU; a loop in a hurry reads later.
      total += await item(value)
      release(value)
    }
    epochLosses.push(total / loaders.train.batchCount)
  }
  // ln 10 is the loss of a guess among ten classes.
  expect(epochLosses[0]).toBeGreaterThan(Math.log(10))
  expect(epochLosses.at(-1)).toBeLessThan(Math.log(10) - 0.1)

  // Validation: running statistics in place of the batch's, and no tape.
  model.eval()
  let items = 0
  for await (const batch of loaders.valid.batches()) {
    const probabilities = noGrad(() => scope(() => softmax(model.forward(batch.input('f32')))))
    const rows = await read(probabilities)
    release(probabilities)
    for (let n = 0; n < batch.count; n++) {
      expect(Array.from(rows.slice(10 * n, 10 * n + 10)).reduce((sum, value) => sum + value)).toBeCloseTo(1, 5)
    }
    items += batch.count
  }
  expect(items).toBe(20)
  optimizer.close()
  scaler.close()
})
