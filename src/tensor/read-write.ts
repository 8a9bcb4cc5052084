import { OptionError, ShapeError } from '../base/errors.ts'
import { checkArgument, listOf, NUMBER, type Kind } from '../base/options.ts'
import { currentGpu } from '../gpu/device.ts'
import { halfToFloat, floatToHalf } from './half.ts'
import { markChecked } from './overflow.ts'
import { allocate } from './scope.ts'
import { elementCount, storedBytes, storedCount, storedLastAxis, type Shape, type Spec } from './shape.ts'
import { TENSOR, type Tensor } from './tensor.ts'
import type { Dtype } from './dtype.ts'

const NUMBERS: Kind = {
  expected: 'a list of numbers, row by row in one list',
  // Those of a BigInt64Array are no numbers.
  is: (value) =>
    ArrayBuffer.isView(value)
      ? NUMBER.is((value as unknown as ArrayLike<unknown>)[0] ?? 0)
      : Array.isArray(value) && value.every(NUMBER.is),
}
/** Check of a shape. */
export const SHAPE: Kind = { ...listOf(NUMBER), expected: 'a list of whole numbers, such as [2,3]' }

/** Returns a tensor with the given numbers, row by row. Default type f32. @throws ShapeError  if their count does not fit the shape */
export function tensor(data: ArrayLike<number>, shape: Shape, dtype: Dtype = 'f32'): Tensor {
  checkArgument('tensor', 'data', data, NUMBERS)
  checkArgument('tensor', 'shape', shape, SHAPE)
  const made = allocate({ shape, dtype })
  upload(made, data)
  return made
}

/** Returns a tensor of zeros. Default type f32 */
export function zeros(shape: Shape, dtype: Dtype = 'f32'): Tensor {
  const made = allocate({ shape, dtype })
  currentGpu().queue.clear(made.view)
  return made
}

/** Replaces the numbers of a tensor. @throws ShapeError  if their count differs */
export function upload(target: Tensor, data: ArrayLike<number>): void {
  checkArgument('upload', 'data', data, NUMBERS)
  if (data.length !== elementCount(target.shape)) {
    throw new ShapeError('upload', 'the number of values differs from the number of elements', {
      given: { tensor: target, numbers: data.length },
    })
  }
  const { buffer, offset } = target.view
  currentGpu().queue.write(buffer, offset, pack(data, target))
  markChecked(target, false)
}

/** Reads the numbers of a tensor, without padding: a Uint32Array for u32, otherwise a Float32Array. */
export async function read(source: Tensor): Promise<Float32Array | Uint32Array> {
  checkArgument('read', 'source', source, TENSOR)
  return unpack(await currentGpu().queue.read(source.view), source)
}

/** Reads the number of a tensor of one element. @throws ShapeError  if it has more */
export async function item(source: Tensor): Promise<number> {
  const numbers = await read(source)
  if (numbers.length === 1) return numbers[0]
  throw new ShapeError('item', 'the tensor must have one element', {
    given: { tensor: source },
    fix: 'read(tensor) returns all of them',
  })
}

function pack(data: ArrayLike<number>, spec: Spec): Float32Array | Uint16Array | Uint32Array {
  const stored = storedBytes(spec)
  if (spec.dtype === 'u32') {
    if (data instanceof Uint32Array && data.byteLength === stored) return data
    const padded = new Uint32Array(stored / 4)
    padded.set(data)
    for (let i = 0; i < data.length; i++) {
      if (padded[i] === data[i]) continue
      throw new OptionError('tensor', `${data[i]} is not a number of u32`, {
        expected: 'whole numbers from 0 to 2^32 − 1',
      })
    }
    return padded
  }
  if (spec.dtype === 'f32' && data instanceof Float32Array && data.byteLength === stored) return data
  const out = spec.dtype === 'f16' ? new Uint16Array(stored / 2) : new Float32Array(stored / 4)
  const last = spec.shape.at(-1) ?? 1
  const row = storedLastAxis(spec)
  for (let i = 0, at = 0; i < data.length; i += last, at += row) {
    for (let j = 0; j < last; j++) out[at + j] = spec.dtype === 'f16' ? floatToHalf(data[i + j]) : data[i + j]
  }
  return out
}

function unpack(bytes: ArrayBuffer, spec: Spec): Float32Array | Uint32Array {
  const count = elementCount(spec.shape)
  if (spec.dtype === 'u32') return new Uint32Array(bytes, 0, count)
  const stored = spec.dtype === 'f16' ? new Uint16Array(bytes) : new Float32Array(bytes)
  const last = spec.shape.at(-1) ?? 1
  const row = storedLastAxis(spec)
  if (stored instanceof Float32Array && row === last) return stored.subarray(0, count)
  const out = new Float32Array(count)
  for (let i = 0, at = 0; at < storedCount(spec) && i < count; i += last, at += row) {
    for (let j = 0; j < last; j++) out[i + j] = spec.dtype === 'f16' ? halfToFloat(stored[at + j]) : stored[at + j]
  }
  return out
}
