import { DataError, OptionError } from '../../base/errors.ts'
import { isRecord, jsonText, type Json } from '../../base/json.ts'
import { transformRecords } from '../../data/transform-records.ts'
import { exportChoices, importChoices } from '../../ops/kernels/choices.ts'
import type { Hypers } from '../../optim/optimizer.ts'
import { read, upload } from '../../tensor/transfer.ts'
import type { Callback } from '../callback.ts'
import type { Learner } from '../learner.ts'
import { about, HYPERS, readModelFile, requireEntries, writeModelFile, type Info, type Kind, type ModelFile } from '../model-file.ts'
import { cells, columnNames, tableLine } from '../recorder.ts'

/** Changed when checkpoints of before cannot be continued any more. */
const VERSION = 2

const RECORD: Kind = [isRecord, '{ … }']
const COUNT: Kind = [isCount, 'a whole number']
const SCALER: Kind = [(value) => isRecord(value) && Number(value.scale) > 0 && isCount(value.goodSteps), '{ scale, goodSteps }']

export interface CheckpointOptions {
  /** A safetensors file, which also holds the weights as `Learner.save` writes them. */
  readonly file: string
  /** Go on from it where it is there. */
  readonly resume: boolean
  /** What is being fitted, so that nothing else is continued by mistake. */
  readonly fit: Info
}

/**
 * Writes everything that a fit needs to go on, after every epoch: weights, running statistics, what the optimizer
 * remembers, the loss scale, what the recorder and other callbacks know, and how many epochs were begun, from which all
 * random numbers follow. A fit that was interrupted and continued ends with the numbers of one that was not, to the
 * last bit on the same adapter.
 *
 * At its end the checkpoint says that the fit is over; to continue from there is to have its result.
 */
export function checkpoints({ file, resume, fit }: CheckpointOptions): Callback {
  let over = false
  return {
    name: 'checkpoints',
    // After everything that learns something from an epoch.
    order: 100,
    async beforeFit(learner) {
      over = resume && (await learner.platform.files.exists(file)) && (await restore(learner, file, fit))
    },
    async afterEpoch(learner) {
      // The last epoch is followed by the end of the fit.
      if (learner.epoch + 1 < learner.epochs) await write(learner, file, fit, learner.epoch + 1)
    },
    async afterFit(learner) {
      if (!over && !learner.interrupted) await write(learner, file, fit, learner.epochs)
    },
  }
}

/** What a checkpoint says besides its tensors. */
interface Checkpoint {
  readonly kind: string
  readonly version: number
  /** See `describe`. */
  readonly fit: Info
  readonly epochsDone: number
  readonly epochsBegun: number
  readonly trainIteration: number
  readonly hypers: readonly Hypers[]
  readonly scaler: { readonly scale: number; readonly goodSteps: number } | undefined
  /** Of the callbacks that have any, in their order. */
  readonly states: readonly Json[]
  /** Chosen by the tuner: other kernels would sum in another order. */
  readonly kernels: Readonly<Record<string, string>>
}

async function write(learner: Learner, file: string, fit: Info, epochsDone: number): Promise<void> {
  const { model, optimizer, scaler, callbacks, epochsBegun, trainIteration, platform } = learner
  const info: Checkpoint = {
    kind: 'checkpoint',
    version: VERSION,
    fit: describe(learner, fit),
    epochsDone, epochsBegun, trainIteration,
    hypers: optimizer?.hypers ?? [],
    scaler: await scaler?.state(),
    states: callbacks.filter(({ state }) => state).map((callback) => callback.state?.() ?? null),
    kernels: exportChoices(),
  }
  await writeModelFile(platform.files, file, {
    weights: await model.stateDict(),
    optimizer: await optimizer?.state(),
    gradients: await pendingGradients(learner),
    info: info as unknown as Info,
  })
}

/** Whether a file is there and is the checkpoint of a fit with that learning rate. @throws DataError when it is damaged */
export async function isCheckpointOf({ platform }: Learner, path: string, lr: Json): Promise<boolean> {
  if (!(await platform.files.exists(path))) return false
  const { info } = await readModelFile(platform.files, path)
  const { fit } = info as unknown as Partial<Checkpoint>
  return jsonText(fit?.lr ?? null) === jsonText(lr)
}

/** @returns whether the fit is over */
async function restore(learner: Learner, path: string, fit: Info): Promise<boolean> {
  const { platform, optimizer, scaler, model, callbacks, recorder } = learner
  const { weights, optimizer: state, gradients, info } = await readModelFile(platform.files, path)
  const saved = info as unknown as Checkpoint
  if (saved.kind !== 'checkpoint' || saved.version !== VERSION) {
    throw new DataError(path, 'this is no checkpoint that a fit can go on from', {
      given: { kind: saved.kind ?? 'weights', version: saved.version ?? 'none' },
      expected: `a checkpoint of version ${VERSION}`,
    })
  }
  requireEntries(path, info, { fit: RECORD })
  requireSame(path, saved.fit, describe(learner, fit))
  const remembering = callbacks.filter(({ state }) => state)
  requireEntries(path, info, {
    epochsDone: [(value) => isCount(value) && value <= learner.epochs, `a whole number up to ${learner.epochs}`],
    epochsBegun: COUNT, trainIteration: COUNT, hypers: HYPERS, scaler: SCALER, kernels: RECORD,
    states: [(value) => Array.isArray(value) && value.length === remembering.length, `a list of ${remembering.length}`],
  })
  about(path, () => {
    optimizer?.loadState(state)
    optimizer?.setHypers(saved.hypers)
    model.loadStateDict(weights)
  })
  importChoices(saved.kernels)
  if (saved.scaler) scaler?.loadState(saved.scaler)
  addGradients(learner, gradients)
  learner.epoch = saved.epochsDone
  learner.epochsBegun = saved.epochsBegun
  learner.trainIteration = saved.trainIteration
  for (const [i, callback] of remembering.entries()) await restoreState(path, callback, saved.states[i], learner)
  const names = columnNames(learner)
  for (const row of recorder.rows) platform.log(tableLine(names, cells(row)))
  platform.log(`continued from ${path}, ${saved.epochsDone} of ${learner.epochs} epochs done`)
  return saved.epochsDone === learner.epochs
}

/** A callback takes over what it had written. @throws DataError  that names the file, when that is something else */
async function restoreState(path: string, callback: Callback, saved: Json, learner: Learner): Promise<void> {
  try {
    await callback.restore?.(saved, learner)
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause
    throw new DataError(path, `a damaged file: ${callback.name} cannot go on from what it has of it`, {
      given: { [callback.name]: cause.message },
      fix: 'begin anew, without `resume`',
      cause,
    })
  }
}

/** What has to be the same for a fit to go on: the fit itself, the callbacks around it and the data. */
function describe({ loaders, precision, loss, seed, callbacks, model }: Learner, fit: Info): Info {
  const { train, valid, vocab, batchSize } = loaders
  return {
    ...fit,
    precision, seed, batchSize, vocab,
    loss: loss.name,
    model: model.architecture?.name,
    callbacks: callbacks.map(({ name }) => name),
    'seed of the loaders': loaders.seed,
    'training items': train.items.length,
    'validation items': valid.items.length,
    itemTransforms: transformRecords(train.itemTransforms),
    batchTransforms: transformRecords(train.batchTransforms),
  }
}

function requireSame(path: string, saved: Info, now: Info): void {
  const text = (value: Json | undefined) => (value === undefined ? 'none' : jsonText(value))
  const names = new Set([...Object.keys(saved), ...Object.keys(now)])
  const different = [...names].filter((name) => text(saved[name]) !== text(now[name]))
  if (different.length === 0) return
  throw new OptionError(path, 'this is the checkpoint of another fit', {
    given: Object.fromEntries(different.map((name) => [name, `${text(saved[name])} there, ${text(now[name])} now`])),
    fix: 'continue with the options it was begun with, or begin anew, without `resume` or with another file',
  })
}

function isCount(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0
}

/** Those that add up over batches, where an epoch has ended in between. */
async function pendingGradients({ model }: Learner): Promise<ModelFile['gradients']> {
  const pending = model.parameters().filter(({ leaf }) => leaf.hasGradient)
  const entries = pending.map(async ({ path, shape, leaf }) => {
    const data = Float32Array.from(leaf.gradient ? await read(leaf.gradient) : [])
    return [path, { shape, data }] as const
  })
  return new Map(await Promise.all(entries))
}

function addGradients({ model }: Learner, gradients: ModelFile['gradients']): void {
  for (const { path, leaf } of model.parameters()) {
    const entry = gradients.get(path)
    if (!entry || !leaf.gradient) continue
    upload(leaf.gradient, entry.data)
    leaf.hasGradient = true
  }
}
