import { rng } from '../../base/rng.ts'
import { drawsNumbers } from '../../nn/drawn.ts'
import type { Callback } from '../fit/callback.ts'

/**
 * Callback that maintains the position in the fit, switches the model between training and evaluation mode, and draws the
 * random numbers of its layers that draw some, such as those of dropout.
 *
 * `progress` is the fraction of the fit that is done, from 0 at the first batch to 1 − 1/batches at the last one.
 * Schedules are functions of it.
 *
 * Source: fastai callback/core.py, TrainEvalCallback.
 */
export const trainEval: Callback = {
  name: 'trainEval',
  order: -10,
  runsOn: 'train',
  beforeFit(state) {
    state.trainIteration = 0
    state.progress = 0
  },
  beforeTrain(state) {
    state.progress = state.epoch / state.epochs
    state.training = true
    state.model.train()
  },
  prepareBatch({ model, seed, epochsBegun }, batch) {
    const layers = model.modules().filter(drawsNumbers)
    const { N } = batch.draw.plan.shape
    for (const [i, layer] of layers.entries()) layer.draw(rng(seed, 'dropout', i, epochsBegun, batch.index), N)
  },
  afterBatch(state) {
    state.progress += 1 / (state.batchCount * state.epochs)
    state.trainIteration++
  },
  beforeValidate(state) {
    state.training = false
    state.model.eval()
  },
}
