/**
 * What the library writes of models: safetensors files whose weights have fastai's names and PyTorch's layouts, so that
 * PyTorch loads them as they are. Beside them, with names of their own, is what training needs to go on:
 *
 *   5.0.convpath.0.0.weight                      a weight, or a running statistic
 *   optimizer.5.0.convpath.0.0.weight.grad_avg   what the optimizer remembers of it
 *   gradient.5.0.convpath.0.0.weight             a gradient that waits for others
 *   __metadata__.wgrad                           everything that is no tensor, as JSON
 *   __metadata__.wgrad.sha256                    checksum of all of it (see `checksum`)
 */
import { DataError, OptionError } from '../../base/errors.ts'
import { isRecord, jsonText, parseRecord, type Json } from '../../base/json.ts'
import { fromTorch, toTorch, torchShape, type StateDict, type StateEntry } from '../../nn/state-dict.ts'
import { roundWeights, type WeightPrecision } from '../../nn/weight-precision.ts'
import { readWeights, writeWeights } from '../../nn/weights.ts'
import type { OptimizerState } from '../../optim/optimizer.ts'
import type { Platform } from '../../platform/platform.ts'
import type { Shape } from '../../tensor/shape.ts'

/** What is no tensor, by name. */
export type Info = Readonly<Record<string, Json | undefined>>

/** A file as it is read; in those of others there are weights only. */
export interface ModelFile {
  readonly weights: StateDict
  /** In the library's own layouts; empty where there is none. */
  readonly optimizer: OptimizerState
  readonly gradients: OptimizerState
  readonly info: Info
}

type Store = Pick<Platform, 'files' | 'sha256'>

/** What an entry of `Info` has to be, and how that is called in errors. */
export type Kind = readonly [is: (value: unknown) => boolean, expected: string]

export const TEXTS: Kind = [
  (value) => Array.isArray(value) && value.every((text) => typeof text === 'string'),
  'a list of texts',
]
export const HYPERS: Kind = [
  (value) => Array.isArray(value) && value.every(isHypers),
  'a list of { lr, momentum, weightDecay }',
]

const OPTIMIZER = 'optimizer.'
const GRADIENT = 'gradient.'
/** The entry of the file's metadata that is ours. */
const INFO = 'wgrad'
const CHECKSUM = 'wgrad.sha256'
/** Letters of what an error shows of an entry. */
const SHOWN = 100

/**
 * Writes a file, whole or not at all.
 *
 * @param parts.precision  Storage of all tensors. Default 'f32'
 * @throws NotFiniteError  when f16 cannot hold a weight
 */
export async function writeModelFile(
  platform: Store,
  path: string,
  {
    weights,
    optimizer = new Map(),
    gradients = new Map(),
    info,
    precision = 'f32',
  }: Pick<ModelFile, 'weights' | 'info'> & Partial<ModelFile> & { readonly precision?: WeightPrecision },
): Promise<void> {
  const all = new Map([...weights, ...renamed(optimizer, OPTIMIZER), ...renamed(gradients, GRADIENT)])
  // The checksum is of what the file gives back.
  const tensors = roundWeights(all, precision)
  const text = jsonText(info)
  const metadata = { format: 'pt', [INFO]: text, [CHECKSUM]: await checksum(platform, tensors, text) }
  await platform.files.write(path, writeWeights(tensors, metadata, { precision }), { lasting: true })
}

/** @throws DataError  that names the file, when it is missing, damaged or of another format */
export async function readModelFile(platform: Store, path: string): Promise<ModelFile> {
  const { weights: tensors, metadata } = readWeights(path, await platform.files.read(path))
  await requireChecksum(platform, path, tensors, metadata)
  const weights = new Map<string, StateEntry>()
  const optimizer = new Map<string, StateEntry>()
  const gradients = new Map<string, StateEntry>()
  for (const [name, entry] of tensors) {
    if (name.startsWith(OPTIMIZER)) optimizer.set(name.slice(OPTIMIZER.length), inOwnLayout(entry))
    else if (name.startsWith(GRADIENT)) gradients.set(name.slice(GRADIENT.length), inOwnLayout(entry))
    else weights.set(name, entry)
  }
  // Weights of others have no such text.
  return {
    weights,
    optimizer,
    gradients,
    info: parseRecord(`${path}, metadata '${INFO}'`, metadata[INFO] ?? '{}', 'save it again'),
  }
}

/**
 * SHA-256 over everything that a file says: its text, and name, shape and numbers of each tensor by name. Tools that
 * write the same tensors in another order keep it right.
 *
 *   sha256(JSON [text, [[name, shape, sha256(numbers)], …]])
 */
async function checksum({ sha256 }: Store, tensors: StateDict, text: string): Promise<string> {
  const byName = [...tensors].sort(([a], [b]) => (a < b ? -1 : 1))
  const parts: [name: string, shape: Shape, digest: string][] = []
  for (const [name, { shape, data }] of byName) {
    parts.push([name, shape, await sha256(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))])
  }
  return sha256(JSON.stringify([text, parts]))
}

/** Files of others and of older versions have no checksum. @throws DataError when there is one, of something else */
async function requireChecksum(
  platform: Store,
  path: string,
  tensors: StateDict,
  { [CHECKSUM]: expected, [INFO]: text = '' }: Readonly<Record<string, string>>,
): Promise<void> {
  if (expected === undefined) return
  const given = await checksum(platform, tensors, text)
  if (given === expected) return
  throw new DataError(path, 'a damaged file: its checksum is not that of its contents', {
    given: { 'SHA-256': given },
    expected,
    fix: 'get the file again from where it was saved; weights that were changed on purpose are saved without the metadata `wgrad.sha256`',
  })
}

/** Does work with what a file holds; what is wrong with it is said of the file. */
export function about<Result>(path: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    const foreseen = error instanceof DataError || error instanceof OptionError
    throw foreseen ? new DataError(path, error.message, { cause: error }) : error
  }
}

/** @throws DataError  that names the file, when an entry is missing or something else */
export function requireEntries(path: string, info: Info, kinds: Readonly<Record<string, Kind>>): void {
  for (const [name, [is, expected]] of Object.entries(kinds)) {
    const value = info[name]
    if (is(value)) continue
    throw new DataError(path, `a damaged file: its ${name} cannot be what was written`, {
      given: { [name]: value === undefined ? 'missing' : jsonText(value).slice(0, SHOWN) },
      expected,
      fix: 'write it again, or take another file',
    })
  }
}

function isHypers(value: unknown): boolean {
  return isRecord(value) && [value.lr, value.momentum, value.weightDecay].every((hyper) => typeof hyper === 'number')
}

function renamed(state: OptimizerState, prefix: string): [string, StateEntry][] {
  return [...state].map(([name, { shape, data }]) => {
    return [prefix + name, { shape: torchShape(shape), data: toTorch(data, shape) }]
  })
}

function inOwnLayout({ shape, data }: StateEntry): StateEntry {
  const own = ownShape(shape)
  return { shape: own, data: fromTorch(data, own) }
}

/** [O,C,R,S] → [O,R,S,C], the reverse of `torchShape`. */
function ownShape(shape: Shape): Shape {
  if (shape.length !== 4) return shape
  const [O, C, R, S] = shape
  return [O, R, S, C]
}
