import { DataError, OptionError } from '../../base/errors.ts'
import { isRecord } from '../../base/json.ts'
import { ANY, checkArgument, checkOptions, type Kind as OptionKind, type Kinds } from '../../base/options.ts'
import {
  batchTransformsFrom,
  decodingFrom,
  forPrediction,
  itemTransformsFrom,
  transformRecords,
  type OwnTransforms,
} from '../../data/transform-records.ts'
import { categoryTarget, targetMakers, type TargetCodec, type TargetCodecMaker } from '../../data/targets.ts'
import { architectures, type ModelMaker } from '../../nn/architectures.ts'
import type { Architecture } from '../../nn/module.ts'
import type { StateDict } from '../../nn/state-dict.ts'
import { WEIGHT_PRECISION, type WeightPrecision } from '../../nn/weight-precision.ts'
import type { Platform } from '../../platform/platform.ts'
import { predictItems } from '../fit/evaluate.ts'
import type { RunningFit } from '../fit/events.ts'
import type { Activation } from '../fit/losses.ts'
import {
  about,
  MODEL_SOURCE,
  readModelFile,
  requireEntries,
  sourceName,
  TEXTS,
  writeModelFile,
  type Info,
  type Kind,
  type ModelSource,
} from './model-file.ts'
import { Predictor } from '../results/predictor.ts'
import { suggestThreshold } from '../results/threshold.ts'

/** Version of the export format; it changes when older files can no longer be read. */
const VERSION = 1

/** Check of the labels, which must be distinct. */
const VOCAB: Kind = [
  (value) => TEXTS[0](value) && new Set(value as string[]).size === (value as string[]).length,
  'a list of distinct strings',
]
const ARCHITECTURE: Kind = [
  (value) => isRecord(value) && typeof value.name === 'string' && value.options !== undefined,
  "{ name, options }, such as { name: 'xresnet18', options: {} }",
]
const ACTIVATION: Kind = [
  (value) => [undefined, 'softmax', 'sigmoid', 'none'].includes(value as string | undefined),
  "'softmax', 'sigmoid' or 'none'",
]

/** Options of `Learner.export`. */
export interface ExportOptions {
  /** Storage of the weights; 'f16' makes the file half as large, and is read by PyTorch as well. Default 'f32' */
  readonly precision?: WeightPrecision
  /**
   * Smallest probability with which the exported model knows an image; below it `predict` answers "none of these".
   * 'suggest' finds it on the validation set, as `suggestThreshold` does, and logs its effect there. Default: none
   */
  readonly threshold?: number | 'suggest'
}

/** Check of a threshold for export. */
const THRESHOLD: OptionKind = {
  expected: "a number from 0 to 1, or 'suggest'",
  is: (value) => value === 'suggest' || isProbability(value),
}
/** Check of the threshold of a file, which it need not have. */
const STORED_THRESHOLD: Kind = [(value) => value === undefined || isProbability(value), 'a number from 0 to 1']

function isProbability(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= 1
}

/** Checks of the options of `Learner.export`. */
export const EXPORT_KINDS: Kinds<ExportOptions> = { precision: WEIGHT_PRECISION, threshold: THRESHOLD }

/**
 * Writes one file with everything that prediction needs, and returns its bytes: the weights, the architecture of the model,
 * the labels, and the transforms of the validation loader with the statistics used to normalize images. PyTorch can read its
 * weights directly. Transforms from outside the package are stored by name if predictions need them: `loadLearner` then takes
 * their code.
 *
 * @param path  undefined writes nothing
 * @throws OptionError  if the model has no `architecture`, so that it could not be made again; with 'suggest' as
 *   `suggestThreshold`
 * @throws NotFiniteError  if a weight is out of the range of f16
 * Source: fastai learner.py, Learner.export.
 */
export async function exportLearner(
  state: RunningFit,
  path: string | undefined,
  { precision = 'f32', threshold }: ExportOptions = {},
): Promise<Uint8Array> {
  const { model, loaders, loss, platform } = state
  const { architecture } = model
  if (!architecture) {
    throw new OptionError(
      'export',
      'the model has no `architecture`, so that it could not be made again from the file',
      {
        expected: `a model of ${Object.keys(architectures).join(', ')}, or one that has an \`architecture\``,
        fix: "set model.architecture = { name: 'mine', options: {} }, and pass the function to loadLearner: { models: { mine } }",
      },
    )
  }
  const { valid, vocab, target } = loaders
  if (threshold !== undefined && loss.activation === 'none') {
    throw new OptionError('export', 'numbers that are predicted have no threshold', { given: { threshold } })
  }
  const known = threshold ?? (target.columns === 'class' ? undefined : loss.threshold)
  const info = {
    kind: 'state',
    version: VERSION,
    architecture: { ...architecture },
    vocab,
    decoding: { ...valid.pictures.decoding },
    itemTransforms: transformRecords(forPrediction(valid.itemTransforms)),
    batchTransforms: transformRecords(forPrediction(valid.batchTransforms)),
    loss: loss.name,
    ...(target.kind === 'category' && target.options === undefined
      ? {}
      : { target: { kind: target.kind, ...(target.options === undefined ? {} : { options: target.options }) } }),
    ...(loss.activation === undefined || loss.activation === 'softmax' ? {} : { activation: loss.activation }),
    ...(known === undefined ? {} : { threshold: known === 'suggest' ? await suggestedThreshold(state) : known }),
  }
  return writeModelFile(platform, path, { weights: await model.stateDict(), info, precision })
}

async function suggestedThreshold(state: RunningFit): Promise<number> {
  const { valid } = state.loaders
  const { threshold, right, wrong, rightKnown, wrongKnown } = suggestThreshold(
    await predictItems(state, valid, {}, state.loss),
  )
  state.platform.log(
    `export: "none of these" below a probability of ${threshold.toFixed(3)}; of the validation items that leaves ` +
      `${rightKnown} of ${right} right and ${wrongKnown} of ${wrong} wrong answers`,
  )
  return threshold
}

/** Options of `loadLearner`. */
export interface LoadLearnerOptions {
  readonly platform: Platform
  /** Functions that make models not built into the library, by the names in their `architecture`. */
  readonly models?: Readonly<Record<string, ModelMaker>>
  /** Transforms from outside the package that predictions need, by their names. */
  readonly transforms?: OwnTransforms
  /** Functions that make targets of blocks of one's own, by the names that are their `kind`. */
  readonly targets?: Readonly<Record<string, TargetCodecMaker>>
}

/**
 * Loads a file that `Learner.export` wrote and returns a predictor in f32.
 *
 * @param source  path of the file, or its contents
 * @throws DataError  naming the file, if it has another format, is damaged, or holds a model of an unknown architecture
 * Source: fastai learner.py, load_learner.
 */
export async function loadLearner(source: ModelSource, options: LoadLearnerOptions): Promise<Predictor> {
  checkArgument('loadLearner', 'source', source, MODEL_SOURCE)
  checkOptions('loadLearner', options, { platform: ANY, models: ANY, transforms: ANY, targets: ANY })
  const { platform, models = {}, transforms = {}, targets = {} } = options
  const path = sourceName(source)
  const { weights, info } = await readModelFile(platform, source)
  requireExported(path, info)
  requireFinite(path, weights)
  const { name, options: made } = info.architecture as unknown as Architecture
  const known = { ...architectures, ...models }
  if (!Object.hasOwn(known, name)) {
    throw new DataError(path, `the architecture '${name}' is unknown`, {
      given: { known: Object.keys(known).join(', ') },
      fix: `pass the function that makes it: loadLearner(path, { models: { ${name} } })`,
    })
  }
  return about(path, () => {
    const model = known[name](made)
    model.loadStateDict(weights)
    return new Predictor({
      model,
      platform,
      vocab: info.vocab as readonly string[],
      target: targetFrom(path, info, targets),
      activation: info.activation as Activation | undefined,
      decoding: decodingFrom(info.decoding),
      itemTransforms: itemTransformsFrom(info.itemTransforms, transforms),
      batchTransforms: batchTransformsFrom(info.batchTransforms, transforms),
      threshold: info.threshold as number | undefined,
    })
  })
}

/** Meaning of the outputs as a file holds it; files of one class per image have none. @throws DataError */
function targetFrom(
  path: string,
  { target, vocab }: Info,
  own: Readonly<Record<string, TargetCodecMaker>>,
): TargetCodec {
  const names = vocab as readonly string[]
  if (target === undefined) return categoryTarget(names)
  const known = { ...targetMakers, ...own }
  const kind = isRecord(target) && typeof target.kind === 'string' ? target.kind : ''
  if (isRecord(target) && Object.hasOwn(known, kind)) return known[kind](target.options, names)
  throw new DataError(path, `targets of the kind '${kind}' are unknown`, {
    given: { known: Object.keys(known).join(', ') },
    fix: `pass the function that makes them: loadLearner(path, { targets: { ${kind} } })`,
  })
}

/** @throws DataError  naming the file, unless `exportLearner` wrote it */
function requireExported(path: string, info: Info): void {
  if (info.kind !== 'state' || info.version !== VERSION) {
    throw new DataError(
      path,
      'this file is not an exported learner: it lacks the architecture, labels and transforms',
      {
        given: { kind: info.kind ?? 'weights', version: info.version ?? 'none' },
        expected: `a file written by \`learner.export(path)\`, version ${VERSION}`,
        fix: 'load it with `learner.load(path)`, then export the learner',
      },
    )
  }
  requireEntries(path, info, {
    architecture: ARCHITECTURE,
    vocab: VOCAB,
    activation: ACTIVATION,
    threshold: STORED_THRESHOLD,
  })
}

/**
 * Writes an exported learner once more, with its weights stored in another precision.
 *
 * @throws DataError  as `loadLearner`
 * @throws NotFiniteError  if a weight is out of the range of f16
 */
export async function convertLearner(
  path: string,
  to: string,
  options: Pick<ExportOptions, 'precision'> & { readonly platform: Platform },
): Promise<void> {
  checkOptions('convertLearner', options, { platform: ANY, precision: WEIGHT_PRECISION })
  const { platform, precision = 'f32' } = options
  const { weights, info } = await readModelFile(platform, path)
  requireExported(path, info)
  await writeModelFile(platform, to, { weights, info, precision })
}

/** @throws DataError  naming the first tensor that contains Inf or NaN */
function requireFinite(path: string, weights: StateDict): void {
  for (const [name, { data }] of weights) {
    const at = data.findIndex((value) => !Number.isFinite(value))
    if (at < 0) continue
    throw new DataError(path, `${name} is not finite, so no prediction would be`, {
      given: { [`${name}[${at}]`]: data[at] },
      fix: 'the training it comes from has diverged: train again with a lower learning rate',
    })
  }
}
