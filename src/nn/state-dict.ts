import { DataError } from '../base/errors.ts'
import { elementCount, sameShape, type Shape } from '../tensor/shape.ts'
import { read } from '../tensor/read-write.ts'
import type { StateTensor } from './parameter.ts'

/** Tensor of a checkpoint in PyTorch's layout; convolution weights are [O,C,R,S]. */
export interface StateEntry {
  readonly shape: Shape
  readonly data: Float32Array
}

/** Tensors of a checkpoint by name, in order. */
export type StateDict = ReadonlyMap<string, StateEntry>

/**
 * Suffix of entries that count batches; PyTorch needs them only for another kind of average and tolerates their
 * absence.
 */
const IGNORED = '.num_batches_tracked'

/** Returns true for the name of a counter of batches, which PyTorch stores and wgrad's models lack. */
export function isCounter(name: string): boolean {
  return name.endsWith(IGNORED)
}

/** Reads the numbers of parameters and running statistics by path, in PyTorch's layouts. */
export async function stateDict(states: readonly StateTensor[]): Promise<StateDict> {
  const dict = new Map<string, StateEntry>()
  // Names as they are now: reading takes time, in which another module may name some of them.
  for (const { path, shape, value } of states.map(({ path, shape, value }) => ({ path, shape, value }))) {
    const numbers = await read(value)
    const data = numbers instanceof Float32Array ? numbers : Float32Array.from(numbers)
    dict.set(path, { shape: torchShape(shape), data: toTorch(data, shape) })
  }
  return dict
}

/** @throws DataError  if names or shapes of a checkpoint differ from those of the states */
export function checkStateDict(states: readonly StateTensor[], dict: StateDict): void {
  const known = new Set(states.map(({ path }) => path))
  const missing = [...known].filter((path) => !dict.has(path))
  const surplus = [...dict.keys()].filter((path) => !known.has(path) && !isCounter(path))
  if (missing.length > 0 || surplus.length > 0) {
    throw new DataError('loadStateDict', 'the names in the checkpoint differ from those of the model', {
      given: { missing: listed(missing), surplus: listed(surplus) },
      fix: 'build the same architecture with the same options as the one that was saved',
    })
  }
  for (const { path, shape } of states) {
    const entry = dict.get(path)
    if (!entry || (sameShape(entry.shape, torchShape(shape)) && entry.data.length === elementCount(shape))) continue
    throw new DataError('loadStateDict', `the shape of ${path} differs`, {
      given: { checkpoint: entry.shape, model: torchShape(shape), numbers: entry.data.length },
      fix: 'build the model with the options it was saved with, such as `outputs`',
    })
  }
}

/**
 * Replaces the values of parameters and running statistics by those of a checkpoint.
 *
 * @throws DataError  as `checkStateDict`; nothing is changed then
 */
export function loadStateDict(states: readonly StateTensor[], dict: StateDict): void {
  checkStateDict(states, dict)
  for (const state of states) {
    const entry = dict.get(state.path)
    if (entry) state.write(fromTorch(entry.data, state.shape))
  }
}

/** Converts a shape to PyTorch's layout: [O,R,S,C] → [O,C,R,S]; other shapes are unchanged. */
export function torchShape(shape: Shape): Shape {
  if (shape.length !== 4) return shape
  const [O, R, S, C] = shape
  return [O, C, R, S]
}

/** Reorders data from wgrad's layout to PyTorch's. @param shape  shape in wgrad's layout */
export function toTorch(data: Float32Array, shape: Shape): Float32Array {
  return reordered(data, shape, (out, own, torch) => (out[torch] = data[own]))
}

/** Reorders data from PyTorch's layout to wgrad's. @param shape  shape in wgrad's layout */
export function fromTorch(data: Float32Array, shape: Shape): Float32Array {
  return reordered(data, shape, (out, own, torch) => (out[own] = data[torch]))
}

function reordered(
  data: Float32Array,
  shape: Shape,
  move: (out: Float32Array, own: number, torch: number) => void,
): Float32Array {
  if (shape.length !== 4) return data
  const [O, R, S, C] = shape
  const taps = R * S
  if (taps === 1) return data
  const out = new Float32Array(data.length)
  for (let o = 0; o < O; o++) {
    for (let tap = 0; tap < taps; tap++) {
      for (let c = 0; c < C; c++) move(out, (o * taps + tap) * C + c, (o * C + c) * taps + tap)
    }
  }
  return out
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(' ')
  return names.length > 5 ? `${shown} … ${names.length} in all` : shown || 'none'
}
