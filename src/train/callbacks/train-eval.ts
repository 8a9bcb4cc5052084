import type { Callback } from '../callback.ts'

/**
 * Keeps count of where training is, and puts the model in the right mode.
 *
 * `progress` is the part of the fit that is done, from 0 at the first batch to 1 − 1/batches at the last one: what
 * schedules are functions of.
 *
 * Source: fastai callback/core.py, TrainEvalCallback.
 */
export const trainEval: Callback = {
  name: 'trainEval',
  order: -10,
  runsOn: 'train',
  beforeFit(learner) {
    learner.trainIteration = 0
    learner.progress = 0
  },
  beforeTrain(learner) {
    learner.progress = learner.epoch / learner.epochs
    learner.training = true
    learner.model.train()
  },
  afterBatch(learner) {
    learner.progress += 1 / (learner.batchCount * learner.epochs)
    learner.trainIteration++
  },
  beforeValidate(learner) {
    learner.training = false
    learner.model.eval()
  },
}
