import { currentGpu } from '../gpu/device.ts'
import { ALIGNMENT } from '../gpu/buffers.ts'
import { DeviceError, OptionError } from '../base/errors.ts'
import { formatBytes, formatShape } from '../base/format.ts'
import { ignoreRejection } from '../base/options.ts'
import { checkDtype } from './dtype.ts'
import { Tensor, type Storage } from './tensor.ts'
import { checkShape, storedBytes, type Spec } from './shape.ts'

/** Storages made in each open scope, innermost last. */
const scopes: Set<Storage>[] = []

/** Allocates a tensor with unspecified contents, in the innermost open scope. @throws DeviceError  if it is larger than the adapter can bind */
export function allocate(spec: Spec, label = 'tensor'): Tensor {
  checkDtype(label, spec.dtype)
  checkShape(label, spec.shape)
  requireFits(label, spec)
  const buffer = currentGpu().buffers.acquire(storedBytes(spec), `${label} ${formatShape(spec)}`)
  const storage: Storage = { buffer, offset: 0, part: undefined, holds: 0, state: 'scoped' }
  const scope = scopes.at(-1)
  if (scope) scope.add(storage)
  else markKept(storage)
  return new Tensor(spec, storage)
}

/** Requires a tensor that the adapter can bind. @throws DeviceError  if it is larger, with the batch that fits */
export function requireFits(label: string, spec: Spec): void {
  const { limitBytes } = currentGpu().buffers
  const bytes = storedBytes(spec)
  if (bytes <= limitBytes) return
  // The first axis is the batch, to which the size is proportional.
  const fits = spec.shape.length > 1 ? Math.floor((limitBytes * spec.shape[0]) / bytes) : 0
  throw new DeviceError(label, 'a tensor is larger than this adapter can bind', {
    given: { tensor: `${formatShape(spec)}, ${formatBytes(bytes)}` },
    expected: `at most ${formatBytes(limitBytes)} (maxStorageBufferBindingSize)`,
    fix:
      fits > 0
        ? `use a batch of ${fits} or fewer, smaller images${spec.dtype === 'f32' ? ', or mixed precision' : ''}`
        : 'use smaller tensors',
  })
}

/** Returns a tensor within a larger one, at `byteOffset` (a multiple of 256) from its start. Its memory is released with the larger one. */
export function allocateWithin(whole: Tensor, spec: Spec, byteOffset: number): Tensor {
  if (byteOffset % ALIGNMENT !== 0) {
    throw new RangeError(`allocateWithin: ${byteOffset} is not a multiple of ${ALIGNMENT}`)
  }
  const { buffer, offset } = whole.storage
  return new Tensor(spec, { buffer, offset: offset + byteOffset, part: whole.storage, holds: 0, state: 'kept' })
}

/** Result of work in a `scope`: the tensors in it outlast the scope. */
export type Kept = Tensor | readonly Kept[] | { readonly [key: string]: Kept } | number | undefined | void

/**
 * Runs work and releases every tensor made in it, except those that it returns, which pass to the enclosing scope (or to
 * the caller, if there is none), and those passed to `keep`. This is safe while the GPU still works: one queue executes in
 * order, so the next writer of a buffer runs after its last reader.
 *
 * @throws OptionError  if the work is async: what it makes after the first await would belong to no scope, or to another one
 */
export function scope<Result extends Kept>(work: () => Result): Result {
  const own = new Set<Storage>()
  scopes.push(own)
  try {
    const result = finished('scope', work())
    const outer = scopes.at(-2)
    for (const storage of storagesOf(result)) {
      if (!own.delete(storage)) continue
      if (outer) outer.add(storage)
      else markKept(storage)
    }
    return result
  } finally {
    scopes.pop()
    for (const storage of own) releaseStorage(storage)
  }
}

/** Returns what work returned. @throws OptionError  if that is a promise: the work is not done */
export function finished<Result>(where: string, result: Result): Result {
  if (!ignoreRejection(result)) return result
  throw new OptionError(where, 'its work is async', { fix: 'read results behind it, without await in it' })
}

/** Removes a tensor from all scopes, so that it stays allocated until `release`. */
export function keep<T extends Tensor>(tensor: T): T {
  for (const open of scopes) open.delete(tensor.storage)
  if (tensor.storage.state === 'scoped') markKept(tensor.storage)
  return tensor
}

/** Returns the buffer of a tensor to the pool at once. Does nothing if it was released before. */
export function release(tensor: Tensor): void {
  for (const open of scopes) open.delete(tensor.storage)
  releaseStorage(tensor.storage)
}

/** Counts one more tape node that needs the numbers of a storage. */
export function hold(storage: Storage): void {
  storage.holds++
}

/** Counts one fewer tape node that needs the numbers; releases a scoped storage at the last one. */
export function unhold(storage: Storage): void {
  storage.holds--
  if (storage.holds > 0 || storage.state !== 'scoped') return
  for (const open of scopes) open.delete(storage)
  releaseStorage(storage)
}

function releaseStorage(storage: Storage): void {
  if (storage.state === 'released') return
  if (storage.state === 'kept') storage.buffer.pool.detach(storage)
  storage.state = 'released'
  if (!storage.part) storage.buffer.pool.release(storage.buffer)
}

/** Marks a storage as kept. Once it is garbage its buffer is returned, so that a model or an optimizer needs no `dispose`. */
function markKept(storage: Storage): void {
  storage.state = 'kept'
  storage.buffer.pool.attach(storage)
}

function* storagesOf(value: Kept): Generator<Storage> {
  if (value instanceof Tensor) yield value.storage
  else if (Array.isArray(value)) for (const item of value) yield* storagesOf(item)
  else if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) yield* storagesOf(item)
}
