import { OptionError } from '../../base/errors.ts'
import { isRecord, jsonText, type Json } from '../../base/json.ts'
import { transformRecords } from '../../data/transform-records.ts'
import { rowOf } from '../../data/targets.ts'
import type { Loader } from '../../data/loader.ts'
import type { Optimizer } from '../../optim/optimizer.ts'
import type { Callback } from '../fit/callback.ts'
import type { FitState } from '../fit/state.ts'
import type { Info } from './model-file.ts'

/** Name of the callback whose options are sampled schedules. */
const SCHEDULE = 'scheduler'
/** Number of characters of a value that an error shows. */
const SHOWN = 60

/**
 * Describes everything that must be the same for a fit to be resumed: options of the fit, of the learner, the
 * optimizer, the loss, the model and every callback, and the data.
 *
 * @param fit        options of the fit itself
 * @param callbacks  callbacks of the learner and of the fit
 */
export async function describeFit(
  state: FitState,
  optimizer: Optimizer,
  callbacks: readonly Callback[],
  fit: Info,
): Promise<Info> {
  const { loaders, precision, loss, seed, model, metrics, platform } = state
  const { train, valid, vocab, batchSize, target } = loaders
  const trainable = optimizer.groups.map((group) => group.filter(({ leaf }) => leaf.trainable).length)
  return {
    ...fit,
    precision,
    seed,
    batchSize,
    vocab,
    targets: target.kind === 'category' ? target.options : described({ ...target, name: target.kind }),
    loss: described(loss),
    optimizer: described(optimizer),
    model: model.architecture && described(model.architecture),
    metrics: metrics.map(({ name }) => name),
    'parameters per group': optimizer.groups.map((group) => group.length),
    // A fit that freezes groups itself has `freezeTo` among its options.
    'trainable parameters per group': fit.freezeTo === undefined ? trainable : undefined,
    callbacks: callbacks.map(({ name }) => name),
    ...callbackOptions(callbacks),
    'seed of the loaders': loaders.seed,
    'training items': train.items.length,
    'validation items': valid.items.length,
    'training data': await dataDigest(train),
    'validation data': await dataDigest(valid),
    'item weights': train.itemWeights && (await platform.sha256(train.itemWeights.join())).slice(0, 16),
    ...pixelsOf(train),
    // Mostly one data block has made both loaders.
    validation: jsonText(pixelsOf(valid)) === jsonText(pixelsOf(train)) ? undefined : pixelsOf(valid),
  }
}

/** Describes how the files of a loader become the input of a network. */
function pixelsOf({ pictures, itemTransforms, batchTransforms }: Loader): Info {
  return {
    decoding: { ...pictures.decoding },
    itemTransforms: transformRecords(itemTransforms),
    batchTransforms: transformRecords(batchTransforms),
  }
}

/**
 * @throws OptionError  listing every difference between the fit of a checkpoint and the present one, if there is any
 */
export function requireSameFit(path: string, saved: Info, now: Info): void {
  const [there, here] = [flattened(saved), flattened(now)]
  const names = new Set([...there.keys(), ...here.keys()])
  const different = [...names].filter((name) => there.get(name) !== here.get(name))
  if (different.length === 0) return
  // A schedule derives from other options; it is listed only if nothing else differs.
  const options = different.filter((name) => name !== SCHEDULE)
  const difference = (name: string): [string, string] => {
    const [before, after] = shown(there.get(name) ?? 'none', here.get(name) ?? 'none')
    return [name, `${before} there, ${after} now`]
  }
  throw new OptionError(path, 'this is the checkpoint of another fit', {
    given: Object.fromEntries((options.length > 0 ? options : different).map(difference)),
    fix: 'resume with the options the fit was begun with, or start again without `resume` or with another file',
  })
}

function described({ name, options }: { readonly name: string; readonly options?: Json }): Json {
  return options === undefined ? { name } : { name, options }
}

/** Returns the options of callbacks by name; a repeated name is numbered from its second use on. */
function callbackOptions(callbacks: readonly Callback[]): Info {
  const entries = new Map<string, Json>()
  for (const { name, options } of callbacks) {
    if (options === undefined) continue
    let key = name
    for (let number = 2; entries.has(key); number++) key = `${name} (${number})`
    entries.set(key, options)
  }
  return Object.fromEntries(entries)
}

/** Computes a digest of file names and labels in their order. Folders are left out, so that data may be moved. */
async function dataDigest(loader: Loader): Promise<string> {
  const { platform, pictures, items } = loader
  const named = Array.from(items, (item) => [pictures.items[item].split(/[/\\]/).at(-1), labelText(loader, item)])
  return (await platform.sha256(JSON.stringify(named))).slice(0, 16)
}

/** Label of an item as a text, for numbers with all their digits. */
function labelText({ labels, target }: Loader, item: number): string | undefined {
  if (labels.length === 0) return undefined
  const row = rowOf(labels, target, item)
  return target.columns === 'class' ? target.text(row) : row.join()
}

/** Flattens nested values to JSON texts by path; `optimizer.options.epsilon` is called `optimizer.epsilon`. */
function flattened(info: Info): Map<string, string> {
  const flat = new Map<string, string>()
  const add = (path: string, value: Json | undefined): void => {
    if (value === undefined) return
    if (!isRecord(value)) return void flat.set(path, jsonText(value))
    for (const [name, part] of Object.entries(value)) add(name === 'options' ? path : `${path}.${name}`, part)
  }
  for (const [name, value] of Object.entries(info)) add(name, value)
  return flat
}

/** Shortens two different texts to the part around their first difference. */
function shown(before: string, after: string): [string, string] {
  let same = 0
  while (same < before.length && before[same] === after[same]) same++
  const start = Math.max(0, same - SHOWN / 2)
  const part = (text: string) => {
    if (text.length <= SHOWN) return text
    return `${start > 0 ? '…' : ''}${text.slice(start, start + SHOWN)}${start + SHOWN < text.length ? '…' : ''}`
  }
  return [part(before), part(after)]
}
