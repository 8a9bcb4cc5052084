import { NotFiniteError } from '../../base/errors.ts'
import type { Batch } from '../../data/batch.ts'
import type { LossScaler } from '../../optim/loss-scaler.ts'
import { backward } from '../../tensor/backward.ts'
import { scope } from '../../tensor/scope.ts'
import { Cancel, SMALLEST_LOSS_SCALE, type Step, type StepLoss } from './callback.ts'
import { evaluate } from './evaluate.ts'
import { announceBatch, announceLosses, announceStep, attempt, within, withinStep, type RunningFit } from './events.ts'
import type { LossReader } from './loss-reader.ts'
import { StepReplay } from './replay.ts'
import { beginStep, forward, setLoss, stopIfAsked } from './step.ts'

/** Runs the training loop: fit > epoch > train, validate > batches. Everything beyond the loop is done by callbacks. */
export async function runFit(state: RunningFit, scaler: LossScaler, losses: LossReader): Promise<void> {
  state.epoch = 0
  await within(state, 'fit', async () => {
    // A resumed fit starts at the epoch after its checkpoint.
    for (; state.epoch < state.epochs; state.epoch++) {
      stopIfAsked(state)
      state.evaluation = undefined
      await within(state, 'epoch', async () => {
        await within(state, 'train', () => trainEpoch(state, scaler, losses))
        await within(state, 'validate', async () => {
          state.evaluation = await evaluate(state, state.loaders.valid)
        })
      })
    }
  })
}

async function trainEpoch(state: RunningFit, scaler: LossScaler, losses: LossReader): Promise<void> {
  const { train } = state.loaders
  state.batchCount = train.batchCount
  state.completed = 0
  const epoch = state.epochsBegun++
  const replay = new StepReplay(state)
  let failed = false
  try {
    for await (const batch of train.batches({ epoch })) {
      stopIfAsked(state)
      state.iteration = batch.index
      trainStep(state, batch, scaler, losses, replay)
      learnLosses(state, await losses.collect(state.platform.now()))
    }
  } catch (error) {
    failed = !(error instanceof Cancel)
    throw error
  } finally {
    replay.close()
    const learnt = losses.flush().then((rest) => learnLosses(state, rest))
    // A callback may end the fit as it learns these losses; the error of a step that failed must not be lost by that.
    await (failed ? learnt.catch(() => undefined) : learnt)
  }
}

/**
 * Passes losses on to the callbacks.
 *
 * @throws NotFiniteError  if the loss scale is below `SMALLEST_LOSS_SCALE`
 */
function learnLosses(state: RunningFit, losses: readonly StepLoss[]): void {
  state.completed += losses.length
  announceLosses(state, losses)
  for (const { iteration, loss, scaling } of losses) {
    if (!scaling || scaling.lossScale >= SMALLEST_LOSS_SCALE) continue
    throw new NotFiniteError('fit', 'the loss scale keeps falling: gradients overflow in f16 at every step', {
      given: {
        'loss scale': scaling.lossScale,
        'skipped steps': `${scaling.skippedSteps} of ${iteration + 1}`,
        loss,
      },
      fix: 'lower the learning rate, check inputs and weights for values beyond 65504, the largest in f16, or train in f32: learner.toFp32()',
    })
  }
}

/** Submits one training step to the GPU without waiting for it. */
function trainStep(state: RunningFit, batch: Batch, scaler: LossScaler, losses: LossReader, replay: StepReplay): void {
  announceBatch(state, batch, true)
  batch.write()
  scope(() => {
    const step = replay.run(batch, () => recordStep(state, batch, scaler))
    if (step.loss) losses.record(state.trainIteration, step.loss, scaler)
    announceStep(state, 'afterBatch', step)
  })
}

/** Runs the part of a step that can be recorded: everything after the uploads of the batch. */
function recordStep(
  state: RunningFit,
  batch: Batch,
  scaler: LossScaler,
): { readonly step: Step; readonly complete: boolean } {
  const optimizer = state.openOptimizer()
  const step = beginStep(state, batch, scaler.scale)
  const complete = attempt(state, 'batch', step, () => {
    const loss = setLoss(state, step, state.loss.mean(forward(state, step), step.targets))
    withinStep(state, 'backward', step, () => backward(loss, step.seed ?? scaler.scale))
    withinStep(state, 'step', step, () => optimizer.step(scaler))
    optimizer.zeroGradients()
  })
  return { step, complete }
}
