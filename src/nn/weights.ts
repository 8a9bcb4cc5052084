import { DataError } from '../base/errors.ts'
import { checkOptions, oneOfTexts } from '../base/options.ts'
import { fileText, utf8Bytes } from '../base/utf8.ts'
import { readSafetensors, writeSafetensors, type Safetensors, type StoredTensor } from './safetensors.ts'
import type { StateDict, StateEntry } from './state-dict.ts'
import { isTorchFile, readTorchFile } from './torch-file.ts'
import { timmNames } from './weight-names.ts'
import { isStoredInHalf, roundWeights, WEIGHT_PRECISION, type WeightPrecision } from './weight-precision.ts'

/** Weights and metadata of a safetensors file. */
export interface WeightsFile {
  readonly weights: StateDict
  readonly metadata: Safetensors['metadata']
}

/** Options of `writeWeights`. */
export interface WriteWeightsOptions {
  /** Names of the weights: 'own' are fastai's for xresnets, 'timm' those of timm's `resnet18d … 152d`. Default 'own' */
  readonly names?: 'own' | 'timm'
  /** Storage type of the weights. Default 'f32' */
  readonly precision?: WeightPrecision
}

/** Kind of the option `names`. */
export const NAMES = oneOfTexts('own', 'timm')

/** Beginning of the name of a tensor that holds a text of the metadata, 8 bytes of its UTF-8 in each integer. */
const TEXT = '__metadata__.'
/**
 * Length of a text from which it is stored so. A header of more than 100 MB is refused by every reader, and a letter that is
 * escaped there takes six bytes; what a checkpoint remembers of a million steps is as long.
 */
const LONG_TEXT = 2 ** 24

/**
 * Encodes weights as the bytes of a safetensors file, in PyTorch's layouts.
 *
 * @throws OptionError     if timm has no names for them
 * @throws NotFiniteError  if a weight is out of the range of f16
 */
export function writeWeights(
  weights: StateDict,
  metadata: WeightsFile['metadata'] = {},
  options: WriteWeightsOptions = {},
): Uint8Array {
  checkOptions('writeWeights', options, { names: NAMES, precision: WEIGHT_PRECISION })
  const { precision = 'f32' } = options
  const named = options.names === 'timm' ? timmNames(weights) : weights
  const tensors = new Map<string, StoredTensor>()
  for (const [name, { shape, data }] of roundWeights(named, precision)) {
    tensors.set(name, { dtype: isStoredInHalf(shape, precision) ? 'F16' : 'F32', shape, data })
  }
  const short: Record<string, string> = {}
  for (const [name, text] of Object.entries(metadata)) {
    if (text.length < LONG_TEXT) short[name] = text
    else tensors.set(`${TEXT}${name}`, storedText(text))
  }
  return writeSafetensors(tensors, short)
}

function storedText(text: string): StoredTensor {
  const bytes = utf8Bytes(text)
  const data = new BigInt64Array(Math.ceil(bytes.length / BigInt64Array.BYTES_PER_ELEMENT))
  new Uint8Array(data.buffer).set(bytes)
  return { dtype: 'I64', shape: [data.length], data }
}

/**
 * Decodes the weights of a safetensors file, or of a `.pth` file of torch.save, without executing any of it (see
 * torch-file.ts). Integer tensors are skipped: they are counters of batches for another kind of average in PyTorch. Names
 * are those in the file; `loadWeights` translates them to those of the model.
 *
 * @param path  path of the file, for errors
 * @throws DataError  if the file is of another format, is damaged, or contains no weights
 */
export function readWeights(path: string, bytes: Uint8Array): WeightsFile {
  if (isTorchFile(bytes)) return { weights: readTorchFile(path, bytes), metadata: {} }
  const { tensors, metadata: short } = readSafetensors(path, bytes)
  const metadata = { ...short }
  const weights = new Map<string, StateEntry>()
  for (const [name, { dtype, shape, data }] of tensors) {
    if (dtype === 'F32' || dtype === 'F16' || dtype === 'BF16') weights.set(name, { shape, data })
    else if (name.startsWith(TEXT)) {
      const text = fileText(path, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
      metadata[name.slice(TEXT.length)] = text.replace(/\0+$/, '')
    }
  }
  if (weights.size === 0) {
    throw new DataError(path, 'there are no weights in this file', { given: { tensors: tensors.size } })
  }
  return { weights, metadata }
}
