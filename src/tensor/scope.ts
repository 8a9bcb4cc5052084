import { currentGpu } from '../gpu/device.ts'
import { ALIGNMENT, type PoolBuffer } from '../gpu/buffers.ts'
import { DeviceError } from '../base/errors.ts'
import { formatBytes, formatShape } from '../base/format.ts'
import { checkDtype } from './dtype.ts'
import { Tensor, type Storage } from './tensor.ts'
import { checkShape, storedBytes, type Spec } from './shape.ts'

/** Storages made in each open scope, innermost last. */
const scopes: Set<Storage>[] = []

/** A tensor with whatever numbers its buffer held before. */
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

/** @throws DeviceError when a tensor is larger than the adapter can bind, with the batch that fits */
export function requireFits(label: string, spec: Spec): void {
  const { limitBytes } = currentGpu().buffers
  const bytes = storedBytes(spec)
  if (bytes <= limitBytes) return
  // The first axis is the batch: everything else being equal, its share decides.
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

/** A tensor inside a larger one, `byteOffset` (a multiple of 256) from its start; it lives as long as that. */
export function allocateWithin(whole: Tensor, spec: Spec, byteOffset: number): Tensor {
  if (byteOffset % ALIGNMENT !== 0) {
    throw new RangeError(`allocateWithin: ${byteOffset} is not a multiple of ${ALIGNMENT}`)
  }
  const { buffer, offset } = whole.storage
  return new Tensor(spec, { buffer, offset: offset + byteOffset, part: whole.storage, holds: 0, state: 'kept' })
}

type Kept = Tensor | readonly Kept[] | { readonly [key: string]: Kept } | number | undefined | void

/**
 * Runs work and gives every buffer made in it back to the pool, but for the tensors it returns, which go to the scope
 * around (or to the caller, where there is none), and those passed to `keep`. Safe while the GPU still works: one
 * queue executes in order, so a buffer's next writer comes after its last reader.
 */
export function scope<Result extends Kept>(work: () => Result): Result {
  const own = new Set<Storage>()
  scopes.push(own)
  try {
    const result = work()
    const outer = scopes.at(-2)
    for (const storage of storagesOf(result)) {
      if (!own.delete(storage)) continue
      if (outer) outer.add(storage)
      else markKept(storage)
    }
    return result
  } finally {
    scopes.pop()
    for (const storage of own) giveBack(storage)
  }
}

/** Takes a tensor out of every scope: it lives until `release`. */
export function keep<T extends Tensor>(tensor: T): T {
  for (const open of scopes) open.delete(tensor.storage)
  if (tensor.storage.state === 'scoped') markKept(tensor.storage)
  return tensor
}

/** Gives a tensor's buffer back now. Nothing happens when it is back already. */
export function release(tensor: Tensor): void {
  for (const open of scopes) open.delete(tensor.storage)
  giveBack(tensor.storage)
}

/** One more, or one fewer, tape node needs the numbers. At none, a scoped storage goes back to the pool. */
export function hold(storage: Storage): void {
  storage.holds++
}
export function unhold(storage: Storage): void {
  storage.holds--
  if (storage.holds > 0 || storage.state !== 'scoped') return
  for (const open of scopes) open.delete(storage)
  giveBack(storage)
}

function giveBack(storage: Storage): void {
  if (storage.state === 'released') return
  if (storage.state === 'kept') abandoned.unregister(storage)
  storage.state = 'released'
  if (!storage.part) storage.buffer.pool.release(storage.buffer)
}

/**
 * Whoever keeps a tensor may forget it: when nothing refers to its storage any more, the buffer goes back as well. So
 * a model or an optimizer needs no `dispose`; `release` is for those who want the memory at once.
 */
const abandoned = new FinalizationRegistry<PoolBuffer>((buffer) => buffer.pool.release(buffer))

function markKept(storage: Storage): void {
  storage.state = 'kept'
  abandoned.register(storage, storage.buffer, storage)
}

function* storagesOf(value: Kept): Generator<Storage> {
  if (value instanceof Tensor) yield value.storage
  else if (Array.isArray(value)) for (const item of value) yield* storagesOf(item)
  else if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) yield* storagesOf(item)
}
