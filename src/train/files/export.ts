import { DataError, OptionError } from '../../base/errors.ts'
import { isRecord } from '../../base/json.ts'
import { batchTransformsFrom, itemTransformsFrom, transformRecords } from '../../data/transform-records.ts'
import { architectures, type ModelMaker } from '../../nn/architectures.ts'
import type { Architecture } from '../../nn/module.ts'
import type { StateDict } from '../../nn/state-dict.ts'
import type { WeightPrecision } from '../../nn/weight-precision.ts'
import type { Platform } from '../../platform/platform.ts'
import type { FitState } from '../fit/state.ts'
import { about, readModelFile, requireEntries, TEXTS, writeModelFile, type Kind } from './model-file.ts'
import { Predictor } from '../results/predictor.ts'

/** Changed when files of before cannot be read any more. */
const VERSION = 1

/** Labels, each of its own. */
const VOCAB: Kind = [
  (value) => TEXTS[0](value) && new Set(value as string[]).size === (value as string[]).length,
  'a list of different texts',
]
const ARCHITECTURE: Kind = [
  (value) => isRecord(value) && typeof value.name === 'string' && value.options !== undefined,
  "{ name, options }, such as { name: 'xresnet18', options: {} }",
]

/** Options of `Learner.export`. */
export interface ExportOptions {
  /** Storage of the weights; 'f16' makes the file half as large, and is read by PyTorch as well. Default 'f32' */
  readonly precision?: WeightPrecision
}

/**
 * Writes one file with all it takes to predict: the weights, how the model was made, the labels, and the transforms with
 * the statistics that pictures are normalised with. PyTorch reads the weights of it as they are.
 *
 * @throws OptionError  when the model was not made by a function that has a name
 * @throws NotFiniteError  when f16 cannot hold a weight
 * Source: fastai learner.py, Learner.export.
 */
export async function exportLearner(
  state: FitState,
  path: string,
  { precision = 'f32' }: ExportOptions = {},
): Promise<void> {
  const { model, loaders, loss, platform } = state
  const { architecture } = model
  if (!architecture) {
    throw new OptionError('export', 'the file could not say how the model is made', {
      expected: `a model of ${Object.keys(architectures).join(', ')}, or one that has an \`architecture\``,
      fix: "set model.architecture = { name: 'mine', options: {} }, and give loadLearner the function: { models: { mine } }",
    })
  }
  const { train, vocab } = loaders
  const info = {
    kind: 'state',
    version: VERSION,
    architecture: { ...architecture },
    vocab,
    itemTransforms: transformRecords(train.itemTransforms),
    batchTransforms: transformRecords(train.batchTransforms),
    loss: loss.name,
  }
  await writeModelFile(platform, path, { weights: await model.stateDict(), info, precision })
}

export interface LoadLearnerOptions {
  readonly platform: Platform
  /** Functions that make models which the library does not know, by the names in their `architecture`. */
  readonly models?: Readonly<Record<string, ModelMaker>>
}

/**
 * What `Learner.export` has written, ready to predict, in f32.
 *
 * @throws DataError  that names the file, when it is something else, damaged, or of a model that nobody knows
 * Source: fastai learner.py, load_learner.
 */
export async function loadLearner(path: string, { platform, models = {} }: LoadLearnerOptions): Promise<Predictor> {
  const { weights, info } = await readModelFile(platform, path)
  if (info.kind !== 'state' || info.version !== VERSION) {
    throw new DataError(path, 'this file does not say how its weights are used', {
      given: { kind: info.kind ?? 'weights', version: info.version ?? 'none' },
      expected: `what \`learner.export(path)\` writes, version ${VERSION}`,
      fix: 'load it with `learner.load(path)`, and export that',
    })
  }
  requireEntries(path, info, { architecture: ARCHITECTURE, vocab: VOCAB })
  requireFinite(path, weights)
  const { name, options } = info.architecture as unknown as Architecture
  const known = { ...architectures, ...models }
  if (!Object.hasOwn(known, name)) {
    throw new DataError(path, `nobody knows how to make a model '${name}'`, {
      given: { known: Object.keys(known).join(', ') },
      fix: `give the function that makes it: loadLearner(path, { models: { ${name} } })`,
    })
  }
  return about(path, () => {
    const model = known[name](options)
    model.loadStateDict(weights)
    return new Predictor({
      model,
      platform,
      vocab: info.vocab as readonly string[],
      itemTransforms: itemTransformsFrom(info.itemTransforms),
      batchTransforms: batchTransformsFrom(info.batchTransforms),
    })
  })
}

/** @throws DataError  that names the first tensor that holds a number that is none, or an infinity */
function requireFinite(path: string, weights: StateDict): void {
  for (const [name, { data }] of weights) {
    const at = data.findIndex((value) => !Number.isFinite(value))
    if (at < 0) continue
    throw new DataError(path, `${name} is not finite, so that no prediction would be`, {
      given: { [`${name}[${at}]`]: data[at] },
      fix: 'the training it comes from has diverged: train again, with a lower learning rate',
    })
  }
}
