import { DataError, OptionError } from '../../base/errors.ts'
import { isRecord, jsonText, type Json } from '../../base/json.ts'
import { checkArgument, type Kind as OptionKind } from '../../base/options.ts'
import { checkStateDict } from '../../nn/state-dict.ts'
import { exportChoices, importChoices } from '../../ops/convolution/choices.ts'
import { checkHyperparameters } from '../../optim/hyperparameters.ts'
import type { Hyperparameters, Optimizer } from '../../optim/optimizer.ts'
import { sameShape } from '../../tensor/shape.ts'
import { read, upload } from '../../tensor/read-write.ts'
import type { Callback } from '../fit/callback.ts'
import { describeFit, requireSameFit } from './fit-description.ts'
import type { RunningFit } from '../fit/events.ts'
import {
  about,
  aboutFile,
  HYPERS,
  parseModelFile,
  requireEntries,
  writeModelFile,
  type Info,
  type Kind,
  type ModelFile,
} from './model-file.ts'
import { cells, columnNames, tableLine } from '../fit/epoch-table.ts'
import { tryToWrite } from '../fit/try-to-write.ts'

/** Version of the checkpoint format; it changes when older checkpoints can no longer be resumed. */
const VERSION = 4

/** Check of what `state` of a callback returns. */
const STATE: OptionKind = {
  expected: 'JSON: numbers, texts, true, false and null, lists and { … } of them',
  fix: 'return that from its `state`, without waiting: [...map], Array.from(numbers)',
  is: isJson,
}
const RECORD: Kind = [isRecord, '{ … }']
const KERNELS: Kind = [
  (value) => isRecord(value) && Object.values(value).every((name) => typeof name === 'string'),
  '{ … } of names',
]
const COUNT: Kind = [isCount, 'a non-negative integer']
const SCALER: Kind = [
  (value) => isRecord(value) && Number(value.scale) > 0 && isCount(value.goodSteps),
  '{ scale, goodSteps }',
]

/** Options of `checkpoints`. */
export interface CheckpointOptions {
  /** Path of a safetensors file, which also holds the weights in the form that `Learner.save` writes. */
  readonly file: string
  /** True to resume from the file if it exists. */
  readonly resume: boolean
  /** Description of the fit; a checkpoint is resumed only if its description is the same. */
  readonly fit: Info
  /** Number of epochs of the fit. */
  readonly epochs: number
  /** Callbacks of the learner and of the fit, in their order. */
  readonly callbacks: readonly Callback[]
}

/**
 * Makes a callback that writes a checkpoint after every epoch with everything that a fit needs to resume: weights,
 * running statistics, the optimizer's state, the loss scale, the states of the recorder and of other callbacks, and the
 * number of epochs begun, which seeds all random numbers. A fit that was interrupted and resumed ends with the numbers
 * of an uninterrupted one, bit for bit on the same adapter.
 *
 * If the file does not exist, it is written before the first epoch, so that a folder without write access or a full
 * disk ends the fit at once. If a later write fails, the failure is logged and the fit goes on.
 *
 * At the end of the fit the checkpoint is marked as finished; resuming from it restores the result.
 *
 * @throws DataError, OptionError  if the checkpoint to resume from is damaged or of another fit; nothing is changed
 *   then
 */
export async function checkpoints(state: RunningFit, options: CheckpointOptions): Promise<Callback> {
  const { file, resume, callbacks } = options
  const { files } = state.platform
  const forgetful = callbacks.find((callback) => callback.state && !callback.restore)
  if (forgetful) {
    throw new OptionError(
      `callback ${forgetful.name}`,
      'it has a state for checkpoints, but no `restore` to get it back',
      {
        fix: 'give it restore(saved) { … }, or leave state out',
      },
    )
  }
  const optimizer = state.openOptimizer()
  const fit = await describeFit(state, optimizer, callbacks, options.fit)
  let saved = resume && (await files.exists(file)) ? await readCheckpoint(state, optimizer, fit, options) : undefined
  // A fit that is cancelled before this callback begins counts as over: its weights are not those of the checkpoint.
  let over = true
  const writeAfter = (epochsDone: number) =>
    tryToWrite(state.platform, 'checkpoint', () => write(state, file, fit, epochsDone))
  return {
    name: 'checkpoints',
    // After all callbacks that update their state after an epoch.
    order: 100,
    async beforeFit() {
      const found = saved
      // Released before the fit goes on: it is three times as large as the model.
      saved = undefined
      over = found !== undefined && (await restore(state, file, found))
      if (!found && !(await files.exists(file))) await write(state, file, fit, 0)
    },
    async afterEpoch() {
      // After the last epoch, `afterFit` writes the checkpoint.
      if (state.epoch + 1 < state.epochs) await writeAfter(state.epoch + 1)
    },
    async afterFit() {
      if (!over && !state.interrupted) await writeAfter(state.epochs)
    },
  }
}

/** Metadata of a checkpoint: everything except its tensors. */
interface Checkpoint {
  readonly kind: string
  readonly version: number
  /** Description of the fit (see `describeFit`). */
  readonly fit: Info
  readonly epochsDone: number
  readonly epochsBegun: number
  readonly trainIteration: number
  readonly hypers: readonly Hyperparameters[]
  readonly scaler: { readonly scale: number; readonly goodSteps: number } | undefined
  /** States of the callbacks that have one, in the order of the callbacks. */
  readonly states: readonly Json[]
  /** Kernel variants chosen by the tuner; other variants would sum in another order. */
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
    states: callbacks.filter(({ state }) => state).map(stateOf),
    kernels: exportChoices(),
  }
  await writeModelFile(platform, file, {
    weights: await model.stateDict(),
    optimizer: await optimizer?.state(),
    gradients: await pendingGradients(state),
    info: info as unknown as Info,
  })
}

/** @throws OptionError  if the state of a callback would not come back from JSON as it is, as that of a Map or a promise */
function stateOf(callback: Callback): Json {
  const state = callback.state?.() ?? null
  checkArgument(`callback ${callback.name}`, 'its state', state, STATE)
  return state
}

function isJson(value: unknown): boolean {
  if (value === null || ['number', 'string', 'boolean'].includes(typeof value)) return true
  if (Array.isArray(value)) return value.every(isJson)
  const isPlain = typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype
  return isPlain && Object.values(value).every((one) => one === undefined || isJson(one))
}

/**
 * Returns true if a file exists and is the checkpoint of a fit with this learning rate.
 *
 * @throws DataError  if the file is damaged
 */
export async function isCheckpointOf({ platform }: RunningFit, path: string, lr: Json): Promise<boolean> {
  if (!(await platform.files.exists(path))) return false
  const { info } = await readFile(platform, path)
  const { fit } = info as unknown as Partial<Checkpoint>
  return jsonText(fit?.lr ?? null) === jsonText(lr)
}

/** Advice about a damaged checkpoint: no program has another of it to get or to save again. */
const BEGIN_ANEW = 'put a copy of it back, or remove it: the fit then begins anew'

/** Reads the file of a checkpoint. @throws DataError  if it cannot be read, or is damaged */
async function readFile(platform: RunningFit['platform'], file: string): Promise<ModelFile> {
  const bytes = await platform.files.read(file)
  return parseModelFile(platform, file, bytes).catch((error: unknown) => {
    throw aboutFile(file, error, BEGIN_ANEW)
  })
}

/** Checkpoint whose parts have all been checked against the learner, and the present states of its callbacks. */
interface Readable {
  readonly model: ModelFile
  readonly saved: Checkpoint
  /** Callbacks that have a state, each with its state before the resumption. */
  readonly remembering: readonly (readonly [callback: Callback, before: Json | undefined])[]
}

/**
 * Reads a checkpoint and checks everything that can be checked without changing the learner.
 *
 * @throws DataError, OptionError  if it cannot be resumed
 */
async function readCheckpoint(
  state: RunningFit,
  optimizer: Optimizer,
  fit: Info,
  { file, epochs, callbacks }: CheckpointOptions,
): Promise<Readable> {
  const model = await readFile(state.platform, file)
  const { info } = model
  const saved = info as unknown as Checkpoint
  if (saved.kind !== 'checkpoint' || saved.version !== VERSION) {
    throw new DataError(file, 'this file is not a checkpoint that can be resumed', {
      given: { kind: saved.kind ?? 'weights', version: saved.version ?? 'none' },
      expected: `a checkpoint of version ${VERSION}`,
      fix:
        saved.kind === 'checkpoint'
          ? 'continue it with the version of wgrad that wrote it, or remove it: the fit then begins anew'
          : 'name another file: the checkpoint would be written over this one',
    })
  }
  about(file, () => requireEntries(file, info, { fit: RECORD }), BEGIN_ANEW)
  requireSameFit(file, saved.fit, fit)
  const remembering = callbacks.filter(({ state }) => state).map((callback) => [callback, callback.state?.()] as const)
  const checkContents = () => {
    requireEntries(file, info, {
      epochsDone: [(value) => isCount(value) && value <= epochs, `an integer from 0 to ${epochs}`],
      epochsBegun: COUNT,
      trainIteration: COUNT,
      hypers: HYPERS,
      scaler: SCALER,
      kernels: KERNELS,
      states: [
        (value) => Array.isArray(value) && value.length === remembering.length,
        `a list of ${remembering.length}`,
      ],
    })
    checkStateDict(state.model.states(), model.weights)
    optimizer.checkState(model.optimizer)
    checkGradients(state, model.gradients)
    if (saved.hypers.length !== optimizer.groups.length) {
      throw new DataError('hypers', 'their number differs from that of the parameter groups', {
        given: { hypers: saved.hypers.length, groups: optimizer.groups.length },
      })
    }
    for (const hypers of saved.hypers) checkHyperparameters('hypers', hypers)
  }
  about(file, checkContents, BEGIN_ANEW)
  return { model, saved, remembering }
}

/** Restores the state of a checkpoint. @returns true if the fit of the checkpoint is finished */
async function restore(state: RunningFit, path: string, { model, saved, remembering }: Readable): Promise<boolean> {
  const { platform, optimizer, scaler, recorder } = state
  const { epoch, epochsBegun, trainIteration } = state
  state.epoch = saved.epochsDone
  state.epochsBegun = saved.epochsBegun
  state.trainIteration = saved.trainIteration
  try {
    for (const [i, [callback]] of remembering.entries()) await restoreState(path, callback, saved.states[i], state)
  } catch (error) {
    // Only the callback itself can check its state, so everything is undone if it refuses it.
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
  const over = saved.epochsDone === state.epochs
  // A fit that ended early counts as over, with fewer epochs than it was to have.
  const done = over ? (recorder.rows.at(-1)?.epoch ?? -1) + 1 : saved.epochsDone
  const early = done < saved.epochsDone ? ': it ended early' : ''
  platform.log(`continued from ${path}, ${done} of ${state.epochs} epochs done${early}`)
  return over
}

/** Restores the state of one callback. @throws DataError  naming the file, if the callback refuses the state */
async function restoreState(path: string, callback: Callback, saved: Json, state: RunningFit): Promise<void> {
  try {
    await callback.restore?.(saved, state)
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause
    throw new DataError(path, `a damaged file: ${callback.name} cannot be restored from its state`, {
      given: { [callback.name]: cause.message },
      fix: BEGIN_ANEW,
      cause,
    })
  }
}

function isCount(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0
}

/** Returns the gradients that are being accumulated across the end of an epoch. */
async function pendingGradients({ model }: RunningFit): Promise<ModelFile['gradients']> {
  const pending = model.parameters().filter(({ leaf }) => leaf.hasGradient)
  const entries = pending.map(async ({ path, shape, leaf }) => {
    const data = Float32Array.from(leaf.gradient ? await read(leaf.gradient) : [])
    return [path, { shape, data }] as const
  })
  return new Map(await Promise.all(entries))
}

/** @throws DataError  if a gradient belongs to no parameter or has another shape */
function checkGradients({ model }: RunningFit, gradients: ModelFile['gradients']): void {
  const shapes = new Map(model.parameters().map(({ path, shape }) => [path, shape]))
  for (const [path, { shape }] of gradients) {
    const own = shapes.get(path)
    if (own && sameShape(own, shape)) continue
    throw new DataError('gradients', `the model has no parameter ${path} of that shape`, {
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
