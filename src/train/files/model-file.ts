/**
 * Files of models: safetensors files whose weights have fastai's names and PyTorch's layouts, so that PyTorch can load
 * them directly. The state needed to resume training is stored beside them under other names:
 *
 *   5.0.convpath.0.0.weight                      a weight, or a running statistic
 *   optimizer.5.0.convpath.0.0.weight.grad_avg   state of the optimizer for that weight
 *   gradient.5.0.convpath.0.0.weight             a gradient that is being accumulated
 *   __metadata__.wgrad                           everything other than tensors, as JSON (of a long run a tensor of this name)
 *   __metadata__.wgrad.sha256                    checksum of all of it (see `checksum`)
 */
import { DataError, OptionError } from '../../base/errors.ts'
import type { Kind as OptionKind } from '../../base/options.ts'
import type { BlobLike } from '../../image/image-source.ts'
import { isRecord, jsonText, parseRecord, type Json } from '../../base/json.ts'
import { fromTorch, toTorch, torchShape, type StateDict, type StateEntry } from '../../nn/state-dict.ts'
import { roundWeights, type WeightPrecision } from '../../nn/weight-precision.ts'
import { readWeights, writeWeights } from '../../nn/weights.ts'
import type { OptimizerState } from '../../optim/optimizer.ts'
import type { Platform } from '../../platform/platform.ts'
import type { Shape } from '../../tensor/shape.ts'

/** Metadata of a model file, everything other than tensors, by name. */
export type Info = Readonly<Record<string, Json | undefined>>

/** Contents of a model file; a file of another program contains weights only. */
export interface ModelFile {
  readonly weights: StateDict
  /** State of the optimizer in wgrad's layouts; empty if the file has none. */
  readonly optimizer: OptimizerState
  /** Accumulated gradients in wgrad's layouts; empty if the file has none. */
  readonly gradients: OptimizerState
  /** Metadata; empty if the file has none. */
  readonly info: Info
}

type Store = Pick<Platform, 'files' | 'sha256'>

/** Check of one entry of the metadata, and its description in errors. */
export type Kind = readonly [is: (value: unknown) => boolean, expected: string]

/** Check of an entry that must be a list of strings. */
export const TEXTS: Kind = [
  (value) => Array.isArray(value) && value.every((text) => typeof text === 'string'),
  'a list of strings',
]
/** Check of an entry that must be a list of hyperparameters. */
export const HYPERS: Kind = [
  (value) => Array.isArray(value) && value.every(isHypers),
  'a list of { lr, momentum, weightDecay }',
]

const OPTIMIZER = 'optimizer.'
const GRADIENT = 'gradient.'
/** Name of this library's entry in the metadata of a safetensors file. */
const INFO = 'wgrad'
const CHECKSUM = 'wgrad.sha256'
/** Number of characters of an entry that an error shows. */
const SHOWN = 100

/** Model file: its path, or its contents, such as a `File` that a visitor chose. */
export type ModelSource = string | Uint8Array | ArrayBuffer | BlobLike

/** Check of a model source. */
export const MODEL_SOURCE: OptionKind = {
  expected: 'a path, or the contents of a file (Uint8Array, ArrayBuffer, Blob, File)',
  is: (value) =>
    (typeof value === 'string' && value !== '') ||
    value instanceof Uint8Array ||
    value instanceof ArrayBuffer ||
    isBlob(value),
}

/** Name of a model file in messages. */
export function sourceName(source: ModelSource): string {
  if (typeof source === 'string') return source
  return (isBlob(source) && source.name) || 'the model file'
}

function isBlob(value: unknown): value is BlobLike {
  return isRecord(value) && typeof (value as unknown as BlobLike).arrayBuffer === 'function'
}

async function contentsOf({ files }: Store, source: ModelSource): Promise<Uint8Array> {
  if (typeof source === 'string') return files.read(source)
  if (source instanceof Uint8Array) return source
  return new Uint8Array(source instanceof ArrayBuffer ? source : await source.arrayBuffer())
}

/**
 * Writes a model file atomically, and returns its bytes.
 *
 * @param path  undefined writes nothing
 * @throws NotFiniteError  if a weight is out of the range of f16
 */
export async function writeModelFile(
  platform: Store,
  path: string | undefined,
  {
    weights,
    optimizer = new Map(),
    gradients = new Map(),
    info,
    precision = 'f32',
  }: Pick<ModelFile, 'weights' | 'info'> &
    Partial<ModelFile> & {
      /** Storage type of all tensors. Default 'f32' */
      readonly precision?: WeightPrecision
    },
): Promise<Uint8Array> {
  const all = new Map([...weights, ...renamed(optimizer, OPTIMIZER), ...renamed(gradients, GRADIENT)])
  // The checksum covers the rounded values, as they are read back.
  const tensors = roundWeights(all, precision)
  const text = jsonText(info)
  const metadata = { format: 'pt', [INFO]: text, [CHECKSUM]: await checksum(platform, tensors, text) }
  const bytes = writeWeights(tensors, metadata, { precision })
  if (path !== undefined) await platform.files.write(path, bytes, { lasting: true })
  return bytes
}

/** Reads a model file. @throws DataError  naming the file, if it is missing, damaged or of another format */
export async function readModelFile(platform: Store, source: ModelSource): Promise<ModelFile> {
  return parseModelFile(platform, sourceName(source), await contentsOf(platform, source))
}

/** Parses the bytes of a model file. @throws DataError  naming the file, if it is damaged or of another format */
export async function parseModelFile(platform: Store, path: string, bytes: Uint8Array): Promise<ModelFile> {
  const { weights: tensors, metadata } = readWeights(path, bytes)
  await requireChecksum(platform, path, tensors, metadata)
  const weights = new Map<string, StateEntry>()
  const optimizer = new Map<string, StateEntry>()
  const gradients = new Map<string, StateEntry>()
  for (const [name, entry] of tensors) {
    if (name.startsWith(OPTIMIZER)) optimizer.set(name.slice(OPTIMIZER.length), inOwnLayout(entry))
    else if (name.startsWith(GRADIENT)) gradients.set(name.slice(GRADIENT.length), inOwnLayout(entry))
    else weights.set(name, entry)
  }
  // Weights of other programs have no such metadata.
  return {
    weights,
    optimizer,
    gradients,
    info: parseRecord(`${path}, metadata '${INFO}'`, metadata[INFO] ?? '{}', 'save it again'),
  }
}

/**
 * Computes a SHA-256 over all contents of a file: its metadata, and the name, shape and data of each tensor in the
 * order of names. It does not depend on the order of the tensors in the file.
 *
 *   sha256(JSON [text, [[name, shape, sha256(data)], …]])
 */
async function checksum({ sha256 }: Store, tensors: StateDict, text: string): Promise<string> {
  const byName = [...tensors].sort(([a], [b]) => (a < b ? -1 : 1))
  const parts: [name: string, shape: Shape, digest: string][] = []
  for (const [name, { shape, data }] of byName) {
    parts.push([name, shape, await sha256(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))])
  }
  return sha256(JSON.stringify([text, parts]))
}

/**
 * @throws DataError  if the file has a checksum that does not match; files of other programs and older versions have
 *   none
 */
async function requireChecksum(
  platform: Store,
  path: string,
  tensors: StateDict,
  { [CHECKSUM]: expected, [INFO]: text = '' }: Readonly<Record<string, string>>,
): Promise<void> {
  if (expected === undefined) return
  const given = await checksum(platform, tensors, text)
  if (given === expected) return
  throw new DataError(path, 'a damaged file: its checksum does not match its contents', {
    given: { 'SHA-256': given },
    expected,
    fix: 'copy the file again from its source; to change weights on purpose, save them without the metadata `wgrad.sha256`',
  })
}

/** Runs a function on the contents of a file and reports its errors as errors of the file. @param fix  as of `aboutFile` */
export function about<Result>(path: string, work: () => Result, fix?: string): Result {
  try {
    return work()
  } catch (error) {
    throw aboutFile(path, error, fix)
  }
}

/**
 * Returns an error in the contents of a file as an error of the file; one that is a fault of the program stays as it is.
 *
 * @param fix  advice in place of that of the error
 */
export function aboutFile(path: string, error: unknown, fix?: string): unknown {
  if (!(error instanceof DataError || error instanceof OptionError)) return error
  const { where, what, details } = error.parts
  const isOfFile = where === path || where.startsWith(`${path}, `)
  const [place, said] = isOfFile ? [where, what] : [path, `${where}: ${what}`]
  return new DataError(place, said, { ...details, ...(fix !== undefined && { fix }), cause: error })
}

/** @throws DataError  naming the file, if an entry of the metadata is missing or invalid */
export function requireEntries(path: string, info: Info, kinds: Readonly<Record<string, Kind>>): void {
  for (const [name, [is, expected]] of Object.entries(kinds)) {
    const value = info[name]
    if (is(value)) continue
    throw new DataError(path, `a damaged file: its ${name} is invalid`, {
      given: { [name]: value === undefined ? 'missing' : jsonText(value).slice(0, SHOWN) },
      expected,
      fix: 'write it again, or use another file',
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

/** Converts a shape from PyTorch's layout: [O,C,R,S] → [O,R,S,C], the inverse of `torchShape`. */
function ownShape(shape: Shape): Shape {
  if (shape.length !== 4) return shape
  const [O, C, R, S] = shape
  return [O, R, S, C]
}
