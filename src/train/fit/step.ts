import { ShapeError } from '../../base/errors.ts'
import { checkArgument } from '../../base/options.ts'
import type { Batch } from '../../data/batch.ts'
import { outputsOf, vocabText } from '../../data/targets.ts'
import { cast } from '../../ops/cast.ts'
import { RESULT, type Tensor } from '../../tensor/tensor.ts'
import { Interrupted, type Step } from './callback.ts'
import { announceStep, type RunningFit } from './events.ts'
import { requireTakes } from './losses.ts'
import type { FitState } from './state.ts'

/**
 * Begins a step: augments the batch into the input of the model.
 *
 * @param seed  gradient that the backward pass starts from, [] f32; given in training only
 */
export function beginStep(state: RunningFit, batch: Batch, seed?: Tensor): Step {
  const input = batch.augment(state.precision === 'mixed' ? 'f16' : 'f32')
  return {
    training: seed !== undefined,
    batch,
    input,
    targets: batch.targets,
    outputs: undefined,
    loss: undefined,
    seed,
  }
}

/**
 * Runs the model and announces `afterPrediction`. Outputs are converted to f32 for the loss.
 *
 * @throws ShapeError  if the model has fewer outputs than there are labels
 */
export function forward(state: RunningFit, step: Step): Tensor {
  step.outputs = modelOutputs(state, step.input)
  announceStep(state, 'afterPrediction', step)
  return step.outputs
}

/** Stores the loss of a step, announces `afterLoss`, and returns what callbacks have left as the loss. */
export function setLoss(state: RunningFit, step: Step, loss: Tensor): Tensor {
  step.loss = requireLoss(state, loss)
  announceStep(state, 'afterLoss', step)
  return step.loss
}

/**
 * Returns the outputs of the model for one input, converted to f32, as the loss takes them.
 *
 * @throws ShapeError, OptionError  if they are not what the targets of the loaders need
 */
export function modelOutputs(state: FitState, input: Tensor): Tensor {
  const made = state.model.forward(input)
  checkArgument(`model ${state.model.constructor.name}`, 'its output', made, RESULT)
  const outputs = cast(made, 'f32')
  checkOutputs(state, outputs)
  return outputs
}

/** Returns what a loss function returned, once it is known to be a tensor. */
export function requireLoss({ loss: { name } }: FitState, result: Tensor): Tensor {
  checkArgument(`loss ${name}`, 'its result', result, RESULT)
  return result
}

/** @throws ShapeError, OptionError  if the model has fewer outputs than there are labels, or the loss takes other targets */
function checkOutputs({ loaders, loss }: FitState, outputs: Tensor): void {
  const { vocab, target } = loaders
  requireTakes(loss, target)
  const wanted = outputsOf(target)
  if (target.columns !== 'class') {
    if (outputs.shape.length === 2 && outputs.shape[1] === wanted) return
    throw new ShapeError('learner', 'the model has not as many outputs as a target has numbers', {
      given: { outputs, targets: `${target.kind}, ${wanted} each` },
      expected: `[N,${wanted}]`,
      fix: `build the model with as many outputs: xresnet18({ outputs: loaders.outputs })`,
    })
  }
  if (outputs.shape.length === 2 && outputs.shape[1] >= wanted) return
  throw new ShapeError('learner', 'the model has fewer outputs than the data have labels', {
    given: { outputs, labels: `${vocab.length}, ${vocabText(vocab)}` },
    expected: `[N,K] with K ≥ ${vocab.length}`,
    fix: `build the model with ${vocab.length} outputs: xresnet18({ outputs: ${vocab.length} })`,
  })
}

/** @throws Interrupted  if the user has asked to stop */
export function stopIfAsked({ interrupted }: RunningFit): void {
  if (interrupted) throw new Interrupted()
}
