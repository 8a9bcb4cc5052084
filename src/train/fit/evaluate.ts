import { OptionError } from '../../base/errors.ts'
import { joined } from '../../base/join.ts'
import { checkArgument, NUMBER, type Kind } from '../../base/options.ts'
import type { Batch } from '../../data/batch.ts'
import type { Loader, EpochOptions } from '../../data/loader.ts'
import type { TargetCodec, TargetNumbers } from '../../data/targets.ts'
import { noGrad } from '../../tensor/op.ts'
import { release, scope } from '../../tensor/scope.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { read } from '../../tensor/read-write.ts'
import { activated } from './activated.ts'
import { Cancel } from './callback.ts'
import type { Evaluation, ItemPredictions } from './evaluation.ts'
import { announceBatch, withinStep, type RunningFit } from './events.ts'
import type { Loss } from './losses.ts'
import { normalizedAs, warnOfOtherData } from './other-data.ts'
import { beginStep, forward, setLoss, stopIfAsked } from './step.ts'

const METRIC_VALUE: Kind = {
  expected: 'a number',
  fix: 'return it synchronously: a metric must not be async',
  is: NUMBER.is,
}

/**
 * Computes the mean loss and the metrics over all items of a loader, transformed as in validation.
 *
 * @throws OptionError  if the items have no labels
 */
export async function evaluate(state: RunningFit, loader: Loader): Promise<Evaluation> {
  requireLabels('validate', loader)
  const { losses, predictions, targets } = await predictItems(state, loader)
  const metrics = state.metrics.map((metric) => {
    const value = metric(predictions, targets)
    checkArgument(`metric ${metric.name}`, 'its value', value, METRIC_VALUE)
    return [metric.name, value] as const
  })
  return { loss: meanLoss(state.loss, losses, targets), metrics: Object.fromEntries(metrics) }
}

/** Computes the mean of the losses of items, weighted as the loss weights their labels; NaN if all weights are 0. */
function meanLoss({ classWeights }: Loss, losses: Float32Array, targets: TargetNumbers): number {
  const total = losses.reduce((sum, value) => sum + value, 0)
  if (!classWeights) return total / losses.length
  let weight = 0
  for (const label of targets) weight += classWeights[label]
  // As in PyTorch. By 0, the loss of a perfect model, saveModel and its like would choose.
  return weight === 0 ? NaN : total / weight
}

/** @throws OptionError  if the items of a loader have no labels */
export function requireLabels(where: string, { labelled, items }: Loader): void {
  if (labelled) return
  throw new OptionError(where, 'there are no labels to compare predictions with', {
    given: { items: items.length, labels: 'none' },
    fix: 'pass labels: loaders.test(paths, { labels }), or ask for predictions only: learner.getPredictions({ loader })',
  })
}

/**
 * Computes the outputs of the model and the losses for every item of a loader: each item once, in the loader's order,
 * transformed as in validation, whether it is a training or a validation loader. Where it does not normalize, images are
 * normalized as those that the model learns from.
 *
 * @param pass        options of the pass over the loader that differ from this, such as random transforms (`draws:
 *   'train'`)
 * @param predictor  its `activation` is applied to the outputs before they are read. Default: the outputs themselves
 */
export async function predictItems(
  state: RunningFit,
  loader: Loader,
  pass: EpochOptions = {},
  predictor: Pick<Loss, 'activation'> = { activation: 'none' },
): Promise<ItemPredictions> {
  const { valid } = state.loaders
  const used = normalizedAs(valid, loader)
  // Once for all passes of test-time augmentation.
  if (!pass.draws) warnOfOtherData(valid, used, "in the learner's loaders", 'learner.loaders.test(…) gives one alike')
  state.training = false
  state.model.eval()
  state.batchCount = Math.ceil(loader.items.length / loader.batchSize)
  state.completed = 0
  const parts: Promise<{ outputs: Float32Array; losses: Float32Array; targets: TargetNumbers; items: Uint32Array }>[] =
    []
  const width = loader.target.columns === 'class' ? 1 : loader.target.columns
  let columns = 0
  const whole = { epoch: state.epochsBegun, shuffle: false, dropLast: false, draws: 'valid' } as const
  for await (const batch of used.batches({ ...whole, ...pass })) {
    stopIfAsked(state)
    state.iteration = batch.index
    announceBatch(state, batch, false)
    batch.write()
    const { outputs, losses } = scope(() => noGrad(() => evaluationStep(state, batch, predictor)))
    columns = outputs.shape[1]
    // The reads are already submitted, so the tensors can be released.
    const part = Promise.all([read(outputs), losses && read(losses)]).then(([rows, each]) => {
      state.completed++
      return {
        outputs: Float32Array.from(rows.subarray(0, batch.count * columns)),
        losses: Float32Array.from(each?.subarray(0, batch.count) ?? []),
        targets: batch.labels.slice(0, batch.count * width),
        items: batch.items.slice(0, batch.count),
      }
    })
    // Prevents an unhandled rejection; the failure is thrown by `Promise.all` below.
    part.catch(() => {})
    parts.push(part)
    release(outputs)
    if (losses) release(losses)
  }
  const all = await Promise.all(parts)
  const items = joined(
    Uint32Array,
    all.map((part) => part.items),
  )
  return {
    predictions: {
      rows: items.length,
      columns,
      data: joined(
        Float32Array,
        all.map(({ outputs }) => outputs),
      ),
    },
    targets: joinedTargets(
      loader.target,
      all.map(({ targets }) => targets),
    ),
    losses: joined(
      Float32Array,
      all.map(({ losses }) => losses),
    ),
    items,
  }
}

function joinedTargets({ columns }: TargetCodec, parts: readonly TargetNumbers[]): TargetNumbers {
  return columns === 'class'
    ? joined(Uint32Array, parts as readonly Uint32Array[])
    : joined(Float32Array, parts as readonly Float32Array[])
}

type EvaluationStep = { readonly outputs: Tensor; readonly losses: Tensor | undefined }

function evaluationStep(state: RunningFit, batch: Batch, predictor: Pick<Loss, 'activation'>): EvaluationStep {
  const step = beginStep(state, batch)
  let result: EvaluationStep | undefined
  withinStep(state, 'batch', step, () => {
    const outputs = forward(state, step)
    const labelled = batch.labels.length > 0
    const losses = labelled ? setLoss(state, step, state.loss.each(outputs, step.targets)) : undefined
    result = { outputs: activated(predictor, outputs), losses }
  })
  if (!result) throw new Cancel('validate', 'a callback cancelled a batch, so the result would be incomplete')
  return result
}
