import { DataError } from '../../base/errors.ts'
import { isRecord, jsonText, type Json } from '../../base/json.ts'
import { checkStateDict } from '../../nn/state-dict.ts'
import { exportChoices, importChoices } from '../../ops/convolution/choices.ts'
import { checkHyperparameters } from '../../optim/flat-optimizer.ts'
import type { Hyperparameters, Optimizer } from '../../optim/optimizer.ts'
import { sameShape } from '../../tensor/shape.ts'
import { read, upload } from '../../tensor/transfer.ts'
import type { Callback } from '../fit/callback.ts'
import { describeFit, requireSameFit } from './fit-description.ts'
import type { RunningFit } from '../fit/events.ts'
import {
  about,
  HYPERS,
  readModelFile,
  requireEntries,
  writeModelFile,
  type Info,
  type Kind,
  type ModelFile,
} from './model-file.ts'
import { cells, columnNames, tableLine } from '../fit/epoch-table.ts'

/** Changed when checkpoints of before cannot be continued any more. */
const VERSION = 3

const RECORD: Kind = [isRecord, '{ … }']
const KERNELS: Kind = [
  (value) => isRecord(value) && Object.values(value).every((name) => typeof name === 'string'),
  '{ … } of names',
]
const COUNT: Kind = [isCount, 'a whole number']
const SCALER: Kind = [
  (value) => isRecord(value) && Number(value.scale) > 0 && isCount(value.goodSteps),
  '{ scale, goodSteps }',
]

export interface CheckpointOptions {
  /** A safetensors file, which also holds the weights as `Learner.save` writes them. */
  readonly file: string
  /** Go on from it where it is there. */
  readonly resume: boolean
  /** What is being fitted, so that nothing else is continued by mistake. */
  readonly fit: Info
  readonly epochs: number
  /** Callbacks of the learner and of the fit, in their order. */
  readonly callbacks: readonly Callback[]
}

/**
 * Writes everything that a fit needs to go on, after every epoch: weights, running statistics, what the optimizer
 * remembers, the loss scale, what the recorder and other callbacks know, and how many epochs were begun, from which all
 * random numbers follow. A fit that was interrupted and continued ends with the numbers of one that was not, to the
 * last bit on the same adapter.
 *
 * Where no file is there one is written before the first epoch: a folder that cannot be written to, or a disk without
 * room, ends the fit then. If a later write fails, the fit goes on and says so.
 *
 * At its end the checkpoint says that the fit is over; to continue from there is to have its result.
 *
 * @throws DataError, OptionError  when a checkpoint to continue is damaged or of another fit; nothing is changed then
 */
export async function checkpoints(state: RunningFit, options: CheckpointOptions): Promise<Callback> {
  const { file, resume } = options
  const { files } = state.platform
  const optimizer = state.openOptimizer()
  const fit = await describeFit(state, optimizer, options.callbacks, options.fit)
  let saved = resume && (await files.exists(file)) ? await readCheckpoint(state, optimizer, fit, options) : undefined
  let over = false
  return {
    name: 'checkpoints',
    // After everything that learns something from an epoch.
    order: 100,
    async beforeFit() {
      const found = saved
      // As large as the model three times: not kept while the fit goes on.
      saved = undefined
      if (found) over = await restore(state, file, found)
      else if (!(await files.exists(file))) await write(state, file, fit, 0)
    },
    async afterEpoch() {
      // The last epoch is followed by the end of the fit.
      if (state.epoch + 1 < state.epochs) await tryToWrite(state, file, fit, state.epoch + 1)
    },
    async afterFit() {
      if (!over && !state.interrupted) await tryToWrite(state, file, fit, state.epochs)
    },
  }
}

/** Writes a checkpoint, or says that it could not be: what was trained is worth more. */
async function tryToWrite(state: RunningFit, file: string, fit: Info, epochsDone: number): Promise<void> {
  try {
    await write(state, file, fit, epochsDone)
  } catch (error) {
    if (!(error instanceof DataError)) throw error
    state.platform.log(`no checkpoint was written, and training goes on: ${error.message}`)
  }
}

/** What a checkpoint says besides its tensors. */
interface Checkpoint {
  readonly kind: string
  readonly version: number
  /** See `describeFit`. */
  readonly fit: Info
  readonly epochsDone: number
  readonly epochsBegun: number
  readonly trainIteration: number
  readonly hypers: readonly Hyperparameters[]
  readonly scaler: { readonly scale: number; readonly goodSteps: number } | undefined
  /** Of the callbacks that have any, in their order. */
  readonly states: readonly Json[]
  /** Chosen by the tuner: other kernels would sum in another order. */
  readonly kernels: Readonly<Record<string, string>>
}

async function write(state: RunningFit, file: string, fit: Info, epochsDone: number): Promise<void> {
  const { model, optimizer, scaler, callbacks, epochsBegun, trainIteration, platform } = state
  const info: Checkpoint = {
    kind: 'checkpoint',
    version: VERSION,
    fit,
    epochsDone,
    epochsBegun,
    trainIteration,
    hypers: optimizer?.hyperparameters ?? [],
    scaler: await scaler?.state(),
    states: callbacks.filter(({ state }) => state).map((callback) => callback.state?.() ?? null),
    kernels: exportChoices(),
  }
  await writeModelFile(platform, file, {
    weights: await model.stateDict(),
    optimizer: await optimizer?.state(),
    gradients: await pendingGradients(state),
    info: info as unknown as Info,
  })
}

/** Whether a file is there and is the checkpoint of a fit with that learning rate. @throws DataError when it is damaged */
export async function isCheckpointOf({ platform }: RunningFit, path: string, lr: Json): Promise<boolean> {
  if (!(await platform.files.exists(path))) return false
  const { info } = await readModelFile(platform, path)
  const { fit } = info as unknown as Partial<Checkpoint>
  return jsonText(fit?.lr ?? null) === jsonText(lr)
}

/** A checkpoint whose every part fits the learner, and what its callbacks knew before. */
interface Readable {
  readonly model: ModelFile
  readonly saved: Checkpoint
  /** Callbacks that remember something, with their state before. */
  readonly remembering: readonly (readonly [callback: Callback, before: Json | undefined])[]
}

/** Reads a checkpoint and checks all that can be checked. @throws DataError, OptionError when it cannot be continued */
async function readCheckpoint(
  state: RunningFit,
  optimizer: Optimizer,
  fit: Info,
  { file, epochs, callbacks }: CheckpointOptions,
): Promise<Readable> {
  const model = await readModelFile(state.platform, file)
  const { info } = model
  const saved = info as unknown as Checkpoint
  if (saved.kind !== 'checkpoint' || saved.version !== VERSION) {
    throw new DataError(file, 'this is no checkpoint that a fit can go on from', {
      given: { kind: saved.kind ?? 'weights', version: saved.version ?? 'none' },
      expected: `a checkpoint of version ${VERSION}`,
    })
  }
  requireEntries(file, info, { fit: RECORD })
  requireSameFit(file, saved.fit, fit)
  const remembering = callbacks.filter(({ state }) => state).map((callback) => [callback, callback.state?.()] as const)
  requireEntries(file, info, {
    epochsDone: [(value) => isCount(value) && value <= epochs, `a whole number up to ${epochs}`],
    epochsBegun: COUNT,
    trainIteration: COUNT,
    hypers: HYPERS,
    scaler: SCALER,
    kernels: KERNELS,
    states: [(value) => Array.isArray(value) && value.length === remembering.length, `a list of ${remembering.length}`],
  })
  about(file, () => {
    checkStateDict(state.model.states(), model.weights)
    optimizer.checkState(model.optimizer)
    checkGradients(state, model.gradients)
    if (saved.hypers.length !== optimizer.groups.length) {
      throw new DataError('hypers', 'there are not as many as groups of parameters', {
        given: { hypers: saved.hypers.length, groups: optimizer.groups.length },
      })
    }
    for (const hypers of saved.hypers) checkHyperparameters('hypers', hypers)
  })
  return { model, saved, remembering }
}

/** @returns whether the fit is over */
async function restore(state: RunningFit, path: string, { model, saved, remembering }: Readable): Promise<boolean> {
  const { platform, optimizer, scaler, recorder } = state
  const { epoch, epochsBegun, trainIteration } = state
  state.epoch = saved.epochsDone
  state.epochsBegun = saved.epochsBegun
  state.trainIteration = saved.trainIteration
  try {
    for (const [i, [callback]] of remembering.entries()) await restoreState(path, callback, saved.states[i], state)
  } catch (error) {
    // Only the callback itself can check what it wrote.
    Object.assign(state, { epoch, epochsBegun, trainIteration })
    for (const [callback, before] of remembering) await callback.restore?.(before ?? null, state)
    throw error
  }
  optimizer?.loadState(model.optimizer)
  optimizer?.setHyperparameters(saved.hypers)
  state.model.loadStateDict(model.weights)
  importChoices(saved.kernels)
  if (saved.scaler) scaler?.loadState(saved.scaler)
  addGradients(state, model.gradients)
  const names = columnNames(state)
  for (const row of recorder.rows) platform.log(tableLine(names, cells(row)))
  platform.log(`continued from ${path}, ${saved.epochsDone} of ${state.epochs} epochs done`)
  return saved.epochsDone === state.epochs
}

/** A callback takes over what it had written. @throws DataError  that names the file, when that is something else */
async function restoreState(path: string, callback: Callback, saved: Json, state: RunningFit): Promise<void> {
  try {
    await callback.restore?.(saved, state)
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause
    throw new DataError(path, `a damaged file: ${callback.name} cannot go on from what it has of it`, {
      given: { [callback.name]: cause.message },
      fix: 'begin anew, without `resume`',
      cause,
    })
  }
}

function isCount(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0
}

/** Those that add up over batches, where an epoch has ended in between. */
async function pendingGradients({ model }: RunningFit): Promise<ModelFile['gradients']> {
  const pending = model.parameters().filter(({ leaf }) => leaf.hasGradient)
  const entries = pending.map(async ({ path, shape, leaf }) => {
    const data = Float32Array.from(leaf.gradient ? await read(leaf.gradient) : [])
    return [path, { shape, data }] as const
  })
  return new Map(await Promise.all(entries))
}

/** @throws DataError  when one is of no parameter, or of another shape */
function checkGradients({ model }: RunningFit, gradients: ModelFile['gradients']): void {
  const shapes = new Map(model.parameters().map(({ path, shape }) => [path, shape]))
  for (const [path, { shape }] of gradients) {
    const own = shapes.get(path)
    if (own && sameShape(own, shape)) continue
    throw new DataError('gradients', `${path} has none of that shape`, {
      given: { checkpoint: shape, model: own ?? 'none' },
    })
  }
}

function addGradients({ model }: RunningFit, gradients: ModelFile['gradients']): void {
  for (const { path, leaf } of model.parameters()) {
    const entry = gradients.get(path)
    if (!entry || !leaf.gradient) continue
    upload(leaf.gradient, entry.data)
    leaf.hasGradient = true
  }
}
