import { DataError } from '../base/errors.ts'
import { checkOptions } from '../base/options.ts'
import { readSafetensors, writeSafetensors, type Safetensors, type StoredTensor } from './safetensors.ts'
import type { StateDict, StateEntry } from './state-dict.ts'
import { isStoredInHalf, roundWeights, WEIGHT_PRECISION, type WeightPrecision } from './weight-precision.ts'

/** Weights, and texts about them. */
export interface WeightsFile {
  readonly weights: StateDict
  readonly metadata: Safetensors['metadata']
}

/** Options of `writeWeights`. */
export interface WriteWeightsOptions {
  /** Storage of the weights. Default 'f32' */
  readonly precision?: WeightPrecision
}

/**
 * The bytes of a safetensors file with these weights, in PyTorch's names and layouts.
 *
 * @throws NotFiniteError  when f16 cannot hold a weight
 */
export function writeWeights(
  weights: StateDict,
  metadata: WeightsFile['metadata'] = {},
  options: WriteWeightsOptions = {},
): Uint8Array {
  checkOptions('writeWeights', options, { precision: WEIGHT_PRECISION })
  const { precision = 'f32' } = options
  const tensors = new Map<string, StoredTensor>()
  for (const [name, { shape, data }] of roundWeights(weights, precision)) {
    tensors.set(name, { dtype: isStoredInHalf(shape, precision) ? 'F16' : 'F32', shape, data })
  }
  return writeSafetensors(tensors, metadata)
}

/**
 * The weights of a safetensors file, such as PyTorch writes of a `state_dict`. Whole numbers are counters (of batches
 * seen, for PyTorch's other kind of average) and left out.
 *
 * @param path  named in errors
 * @throws DataError  when this is no safetensors file, it is damaged, or has no weights
 */
export function readWeights(path: string, bytes: Uint8Array): WeightsFile {
  const { tensors, metadata } = readSafetensors(path, bytes)
  const weights = new Map<string, StateEntry>()
  for (const [name, { dtype, shape, data }] of tensors) {
    if (dtype === 'F32' || dtype === 'F16') weights.set(name, { shape, data })
  }
  if (weights.size === 0) {
    throw new DataError(path, 'there are no weights in this file', { given: { tensors: tensors.size } })
  }
  return { weights, metadata }
}
