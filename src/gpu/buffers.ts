import type { Platform } from '../platform/platform.ts'
import { BUFFER_USAGE } from './flags.ts'

/** GPU buffer of the pool. `id` identifies it in caches; its size is that of its size class, at least the requested one. */
export interface PoolBuffer {
  readonly id: number
  readonly buffer: GPUBuffer
  readonly byteLength: number
  /** Pool that owns the buffer. */
  readonly pool: BufferPool
}

/** Part of a buffer that a kernel binds. `offset` is a multiple of 256, `size` a multiple of 4, both in bytes. */
export interface BufferView {
  readonly buffer: PoolBuffer
  readonly offset: number
  readonly size: number
}

/** Object to which a buffer belongs. */
export interface BufferOwner {
  readonly buffer: PoolBuffer
  /** Object by which the garbage collector knows how large it is (see `Platform.weigh`). */
  weight?: object | undefined
}

/** Registry that returns the buffer of an owner to the pool once the owner is garbage. */
const abandoned = new FinalizationRegistry<PoolBuffer>((buffer) => buffer.pool.release(buffer))

/** Unused buffers by size in bytes. */
export type FreeLists = Map<number, PoolBuffer[]>

/** Buffers reserved for captured work, which is run repeatedly. */
export interface Arena {
  readonly owned: Set<PoolBuffer>
  readonly free: FreeLists
}

/** Usage flags of every buffer: storage, uniform, source and target of copies. */
const ALL_USAGES = BUFFER_USAGE.STORAGE | BUFFER_USAGE.COPY_SRC | BUFFER_USAGE.COPY_DST | BUFFER_USAGE.UNIFORM

/** WebGPU's minStorageBufferOffsetAlignment, and the smallest size class. */
export const ALIGNMENT = 256

/**
 * Pool of buffers by size class. A released buffer is reused at once: one queue executes in order, so its next writer runs
 * after its last reader. With four classes per power of two a buffer is at most a quarter larger than requested.
 */
export class BufferPool {
  /** True once the GPU of the buffers is closed. */
  closed = false
  /** Bytes of all buffers that exist. */
  allocatedBytes = 0
  /** Bytes of the buffers in use. */
  usedBytes = 0
  /** Most bytes that were in use at once. */
  peakUsedBytes = 0
  /** Function that is called with each buffer as it is handed out. Default: none */
  onAcquire: ((buffer: PoolBuffer) => void) | undefined
  /** Labels of the buffers in use; undefined unless `watched`. */
  readonly inUse: Map<PoolBuffer, string> | undefined

  private readonly device: GPUDevice
  private readonly free: FreeLists = new Map()
  private readonly arenas = new Set<Arena>()
  /** Arena that is open. */
  private arena: Arena | undefined
  private nextId = 1
  private readonly onDestroy: (buffer: PoolBuffer) => void
  private readonly weigh: Platform['weigh']

  constructor(device: GPUDevice, onDestroy: (buffer: PoolBuffer) => void, watched = false, weigh?: Platform['weigh']) {
    this.device = device
    this.onDestroy = onDestroy
    this.weigh = weigh
    this.inUse = watched ? new Map() : undefined
  }

  /** Size in bytes of the largest buffer that can be bound, the limit of every tensor. */
  get limitBytes(): number {
    const { maxStorageBufferBindingSize, maxBufferSize } = this.device.limits
    return Math.floor(Math.min(maxStorageBufferBindingSize, maxBufferSize) / ALIGNMENT) * ALIGNMENT
  }

  /** Returns a buffer of at least `byteLength` bytes, at most `limitBytes`. */
  acquire(byteLength: number, label: string): PoolBuffer {
    const size = Math.min(sizeClass(byteLength), this.limitBytes)
    const own = this.arena?.free.get(size)?.pop()
    const buffer = own ?? this.free.get(size)?.pop() ?? this.create(size, label)
    this.inUse?.set(buffer, label)
    if (!own) {
      this.arena?.owned.add(buffer)
      this.usedBytes += buffer.byteLength
      this.peakUsedBytes = Math.max(this.peakUsedBytes, this.usedBytes)
    }
    this.onAcquire?.(buffer)
    return buffer
  }

  /** Returns a buffer to the pool, or to the arena that reserves it. */
  release(buffer: PoolBuffer): void {
    this.inUse?.delete(buffer)
    for (const arena of this.arenas) {
      if (!arena.owned.has(buffer)) continue
      addTo(arena.free, buffer)
      return
    }
    this.usedBytes -= buffer.byteLength
    addTo(this.free, buffer)
  }

  /** Makes the pool return the buffer of an owner once the owner is garbage, unless it is detached before. */
  attach(owner: BufferOwner): void {
    owner.weight = this.weigh?.(owner.buffer.byteLength)
    abandoned.register(owner, owner.buffer, owner)
  }

  detach(owner: BufferOwner): void {
    owner.weight = undefined
    abandoned.unregister(owner)
  }

  /**
   * Opens an arena: buffers acquired until `closeArena` belong to it and are reused within it only. Work captured meanwhile
   * can be run repeatedly without writing to a buffer that was since acquired elsewhere.
   */
  openArena(): Arena {
    if (this.arena) throw new Error('openArena: one is open already')
    this.arena = { owned: new Set(), free: new Map() }
    this.arenas.add(this.arena)
    return this.arena
  }

  /** Ends the acquisition of buffers for the arena, which keeps those it has. */
  closeArena(): void {
    this.arena = undefined
  }

  /**
   * Opens an arena again, with its unused buffers in the order of their first acquisition: work that acquires and releases
   * in the same order as the captured work gets the same buffers.
   */
  reopenArena(arena: Arena): void {
    if (this.arena) throw new Error('reopenArena: one is open already')
    const unused = new Set([...arena.free.values()].flat())
    arena.free.clear()
    for (const buffer of [...arena.owned].reverse()) if (unused.has(buffer)) addTo(arena.free, buffer)
    this.arena = arena
  }

  /** Returns the buffers of an arena to the pool; those still in use follow when they are released. */
  disband(arena: Arena): void {
    if (!this.arenas.delete(arena)) return
    for (const list of arena.free.values()) for (const buffer of list) this.release(buffer)
  }

  /**
   * Gives up every unused buffer.
   *
   * @param destroy  destroys one, when all work that uses it has been submitted (see `Gpu.trim`). Default: at once
   */
  trim(destroy = (buffer: GPUBuffer): void => buffer.destroy()): void {
    for (const list of this.free.values()) {
      for (const buffer of list) {
        this.allocatedBytes -= buffer.byteLength
        this.onDestroy(buffer)
        destroy(buffer.buffer)
      }
    }
    this.free.clear()
  }

  private create(byteLength: number, label: string): PoolBuffer {
    // Created before it is counted, since creation may throw.
    const buffer = this.device.createBuffer({ size: byteLength, usage: ALL_USAGES, label })
    this.allocatedBytes += byteLength
    return { id: this.nextId++, byteLength, pool: this, buffer }
  }
}

function addTo(lists: FreeLists, buffer: PoolBuffer): void {
  const list = lists.get(buffer.byteLength)
  if (list) list.push(buffer)
  else lists.set(buffer.byteLength, [buffer])
}

/** Returns the size class of a number of bytes: the smallest of 4, 5, 6, 7 · 2^k that holds them, at least 256. */
export function sizeClass(byteLength: number): number {
  if (byteLength <= ALIGNMENT) return ALIGNMENT
  const quarter = 2 ** (Math.ceil(Math.log2(byteLength)) - 3)
  // Rounded up to the alignment: small classes then coincide, which costs nothing.
  return Math.ceil((Math.ceil(byteLength / quarter) * quarter) / ALIGNMENT) * ALIGNMENT
}
