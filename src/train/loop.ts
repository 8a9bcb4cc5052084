import { NotFiniteError, OptionError, ShapeError } from '../base/errors.ts'
import { checkArgument, NUMBER, type Kind } from '../base/options.ts'
import type { Batch } from '../data/batch.ts'
import { vocabText } from '../data/blocks.ts'
import type { Loader, Pass } from '../data/loader.ts'
import { cast } from '../ops/cast.ts'
import type { LossScaler } from '../optim/loss-scaler.ts'
import { backward } from '../tensor/backward.ts'
import { noGrad } from '../tensor/op.ts'
import { release, scope } from '../tensor/scope.ts'
import { Tensor } from '../tensor/tensor.ts'
import { read } from '../tensor/transfer.ts'
import { Cancel, Interrupted, SMALLEST_LOSS_SCALE, type Step, type StepLoss } from './callback.ts'
import { announceBatch, announceLosses, announceStep, attempt, within, withinStep } from './events.ts'
import type { Learner } from './learner.ts'
import type { LossReader } from './loss-reader.ts'
import type { Predictions } from './metrics.ts'
import { StepReplay } from './replay.ts'

/** What validation came to. */
export interface Evaluation {
  readonly loss: number
  /** By the name of the metric. */
  readonly metrics: Readonly<Record<string, number>>
}

/** What the model says of items, in their order. */
export interface ItemPredictions {
  readonly predictions: Predictions
  /** The number of each label; empty where they are not known (see `Loaders.test`). */
  readonly targets: Uint32Array
  /** Likewise. */
  readonly losses: Float32Array
  /** Numbers of the items in the data set. */
  readonly items: Uint32Array
}

/** The loop: fit > epoch > train, validate > batches. What else happens is in the callbacks. */
export async function runFit(learner: Learner, scaler: LossScaler, losses: LossReader): Promise<void> {
  learner.epoch = 0
  await within(learner, 'fit', async () => {
    // Where it goes on from a checkpoint the first epoch is a later one.
    for (; learner.epoch < learner.epochs; learner.epoch++) {
      stopIfAsked(learner)
      learner.evaluation = undefined
      await within(learner, 'epoch', async () => {
        await within(learner, 'train', () => trainEpoch(learner, scaler, losses))
        await within(learner, 'validate', async () => {
          learner.evaluation = await evaluate(learner, learner.loaders.valid)
        })
      })
    }
  })
}

async function trainEpoch(learner: Learner, scaler: LossScaler, losses: LossReader): Promise<void> {
  const { train } = learner.loaders
  learner.batchCount = train.batchCount
  const epoch = learner.epochsBegun++
  const replay = new StepReplay(learner)
  try {
    for await (const batch of train.batches({ epoch })) {
      stopIfAsked(learner)
      learner.iteration = batch.index
      trainStep(learner, batch, scaler, losses, replay)
      learnLosses(learner, await losses.collect(learner.platform.now()))
    }
  } finally {
    replay.close()
    learnLosses(learner, await losses.flush())
  }
}

/** Tells the callbacks of losses. @throws NotFiniteError  when the loss scale has fallen until nothing can be learnt with it */
function learnLosses(learner: Learner, losses: readonly StepLoss[]): void {
  announceLosses(learner, losses)
  for (const { iteration, loss, scaling } of losses) {
    if (!scaling || scaling.lossScale >= SMALLEST_LOSS_SCALE) continue
    throw new NotFiniteError(
      'fit',
      'the loss scale keeps falling: the gradients of one step after the other overflow in f16',
      {
        given: {
          'loss scale': scaling.lossScale,
          'skipped steps': `${scaling.skippedSteps} of ${iteration + 1}`,
          loss,
        },
        fix: "lower the learning rate, look for inputs and weights beyond f16's 65504, or train in f32: learner.toFp32()",
      },
    )
  }
}

/** One training step, given to the GPU without waiting for it. */
function trainStep(learner: Learner, batch: Batch, scaler: LossScaler, losses: LossReader, replay: StepReplay): void {
  announceBatch(learner, batch, true)
  batch.write()
  scope(() => {
    const step = replay.run(batch, () => recordStep(learner, batch, scaler))
    if (step.loss) losses.record(learner.trainIteration, step.loss, scaler)
    announceStep(learner, 'afterBatch', step)
  })
}

/** What of a step is the same for every batch: all but the numbers that were written before. */
function recordStep(
  learner: Learner,
  batch: Batch,
  scaler: LossScaler,
): { readonly step: Step; readonly complete: boolean } {
  const optimizer = learner.openOptimizer()
  const step = beginStep(learner, batch, scaler.scale)
  const complete = attempt(learner, 'batch', step, () => {
    const loss = compare(learner, step, learner.loss.mean(forward(learner, step), step.targets))
    withinStep(learner, 'backward', step, () => backward(loss, step.seed ?? scaler.scale))
    withinStep(learner, 'step', step, () => optimizer.step(scaler))
    optimizer.zeroGradients()
  })
  return { step, complete }
}

const METRIC_VALUE: Kind = { expected: 'a number', fix: 'return it at once: a metric is not async', is: NUMBER.is }

/** Loss and metrics of all items of a loader, transformed as in validation. @throws OptionError when they have no labels */
export async function evaluate(learner: Learner, loader: Loader): Promise<Evaluation> {
  requireLabels('validate', loader)
  const { losses, predictions, targets } = await predictItems(learner, loader)
  const metrics = learner.metrics.map((metric) => {
    const value = metric(predictions, targets)
    checkArgument(`metric ${metric.name}`, 'its value', value, METRIC_VALUE)
    return [metric.name, value] as const
  })
  return { loss: losses.reduce((sum, value) => sum + value, 0) / losses.length, metrics: Object.fromEntries(metrics) }
}

/** @throws OptionError  when it is not known what is on a loader's pictures */
export function requireLabels(where: string, { labelled, items }: Loader): void {
  if (labelled) return
  throw new OptionError(where, 'there are no labels to compare predictions with', {
    given: { items: items.length, labels: 'none' },
    fix: 'give them, loaders.test(paths, { labels }), or only ask for predictions: learner.getPredictions({ loader })',
  })
}

/**
 * The outputs of the model for all items of a loader, and their losses. Whichever loader that is: each item once, in its
 * order, and transformed as in validation.
 *
 * @param pass        what is to be different, such as random transforms (`draws: 'train'`)
 * @param activation  what is done to the outputs, [N,K] f32, before they are read. Default nothing
 */
export async function predictItems(
  learner: Learner,
  loader: Loader,
  pass: Pass = {},
  activation: (outputs: Tensor) => Tensor = (outputs) => outputs,
): Promise<ItemPredictions> {
  learner.training = false
  learner.model.eval()
  learner.batchCount = Math.ceil(loader.items.length / loader.batchSize)
  const parts: Promise<{ outputs: Float32Array; losses: Float32Array; targets: Uint32Array; items: Uint32Array }>[] = []
  let columns = 0
  const whole = { epoch: learner.epochsBegun, shuffle: false, dropLast: false, draws: 'valid' } as const
  for await (const batch of loader.batches({ ...whole, ...pass })) {
    stopIfAsked(learner)
    learner.iteration = batch.index
    announceBatch(learner, batch, false)
    batch.write()
    const { outputs, losses } = scope(() => noGrad(() => evaluationStep(learner, batch, activation)))
    columns = outputs.shape[1]
    // The reads are under way once they are asked for, so the tensors can go.
    const part = Promise.all([read(outputs), losses && read(losses)]).then(([rows, each]) => ({
      outputs: Float32Array.from(rows.subarray(0, batch.count * columns)),
      losses: Float32Array.from(each?.subarray(0, batch.count) ?? []),
      targets: batch.labels.slice(0, batch.count),
      items: batch.items.slice(0, batch.count),
    }))
    // Its failure is thrown below.
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
    targets: joined(
      Uint32Array,
      all.map(({ targets }) => targets),
    ),
    losses: joined(
      Float32Array,
      all.map(({ losses }) => losses),
    ),
    items,
  }
}

type EvaluationStep = { readonly outputs: Tensor; readonly losses: Tensor | undefined }

function evaluationStep(learner: Learner, batch: Batch, activation: (outputs: Tensor) => Tensor): EvaluationStep {
  const step = beginStep(learner, batch)
  let result: EvaluationStep | undefined
  withinStep(learner, 'batch', step, () => {
    const outputs = forward(learner, step)
    const labelled = batch.labels.length > 0
    const losses = labelled ? compare(learner, step, learner.loss.each(outputs, step.targets)) : undefined
    result = { outputs: activation(outputs), losses }
  })
  if (!result) throw new Cancel('validate', 'a batch was left out, and with it the result')
  return result
}

const TENSOR: Kind = {
  expected: 'a tensor',
  fix: 'return one at once: steps are recorded without waiting',
  is: (value) => value instanceof Tensor,
}

/** @param seed  in training, what backward begins with */
function beginStep(learner: Learner, batch: Batch, seed?: Tensor): Step {
  const input = batch.augment(learner.precision === 'mixed' ? 'f16' : 'f32')
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

/** The model, and its event. Outputs are made f32 for the loss, whatever the model computes in. */
function forward(learner: Learner, step: Step): Tensor {
  const made = learner.model.forward(step.input)
  checkArgument(`model ${learner.model.constructor.name}`, 'its output', made, TENSOR)
  const outputs = cast(made, 'f32')
  checkOutputs(learner, outputs)
  step.outputs = outputs
  announceStep(learner, 'afterPrediction', step)
  return step.outputs
}

/** What the loss says of the outputs, and its event. */
function compare(learner: Learner, step: Step, loss: Tensor): Tensor {
  checkArgument(`loss ${learner.loss.name}`, 'what it computes', loss, TENSOR)
  step.loss = loss
  announceStep(learner, 'afterLoss', step)
  return step.loss
}

/** @throws ShapeError when the model cannot name every label */
function checkOutputs({ loaders }: Learner, outputs: Tensor): void {
  const { vocab } = loaders
  if (outputs.shape.length === 2 && outputs.shape[1] >= vocab.length) return
  throw new ShapeError('learner', 'the model has fewer outputs than the data have labels', {
    given: { outputs, labels: `${vocab.length}, ${vocabText(vocab)}` },
    expected: `[N,K] with K ≥ ${vocab.length}`,
    fix: `build the model with as many: xresnet18({ outputs: ${vocab.length} })`,
  })
}

function stopIfAsked({ interrupted }: Learner): void {
  if (interrupted) throw new Interrupted()
}

function joined<A extends Float32Array | Uint32Array>(Kind: new (length: number) => A, parts: readonly A[]): A {
  const whole = new Kind(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
