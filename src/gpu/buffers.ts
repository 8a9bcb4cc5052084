import { BUFFER_USAGE } from './flags.ts'

/** A GPU buffer of the pool. `id` names it in caches; its size is that of its class, at least what was asked for. */
export interface PoolBuffer {
  readonly id: number
  readonly buffer: GPUBuffer
  readonly byteLength: number
  /** Where it goes back to. */
  readonly pool: BufferPool
}

/** A part of a buffer, as a kernel binds it. `offset` is a multiple of 256, `size` of 4. */
export interface BufferView {
  readonly buffer: PoolBuffer
  readonly offset: number
  readonly size: number
}

/** Unused buffers by their size. */
type FreeLists = Map<number, PoolBuffer[]>

/** Buffers set aside for work that is done again and again. */
export interface Arena {
  readonly owned: Set<PoolBuffer>
  readonly free: FreeLists
}

/** Every buffer may be bound, copied from and to, and used for uniforms. */
const ALL_USAGES = BUFFER_USAGE.STORAGE | BUFFER_USAGE.COPY_SRC | BUFFER_USAGE.COPY_DST | BUFFER_USAGE.UNIFORM

/** WebGPU's minStorageBufferOffsetAlignment, and the smallest size class. */
export const ALIGNMENT = 256

/**
 * Buffers by size class, reused as soon as they are returned: one queue executes in order, so whoever gets a buffer
 * next writes it after its last reader. Four classes an octave, so a buffer is at most a quarter larger than asked for.
 */
export class BufferPool {
  /** Bytes of all buffers that exist, in use, and the most that were in use at once. */
  allocatedBytes = 0
  usedBytes = 0
  peakUsedBytes = 0
  /** What the buffers in use were acquired for, where `watched`. */
  readonly inUse: Map<PoolBuffer, string> | undefined

  private readonly device: GPUDevice
  private readonly free: FreeLists = new Map()
  private readonly arenas = new Set<Arena>()
  /** The one being filled. */
  private arena: Arena | undefined
  private nextId = 1
  private readonly onDestroy: (buffer: PoolBuffer) => void

  constructor(device: GPUDevice, onDestroy: (buffer: PoolBuffer) => void, watched = false) {
    this.device = device
    this.onDestroy = onDestroy
    this.inUse = watched ? new Map() : undefined
  }

  /** The largest buffer that can be bound, which no tensor may pass. */
  get limitBytes(): number {
    const { maxStorageBufferBindingSize, maxBufferSize } = this.device.limits
    return Math.floor(Math.min(maxStorageBufferBindingSize, maxBufferSize) / ALIGNMENT) * ALIGNMENT
  }

  /** @param byteLength  at most `limitBytes` */
  acquire(byteLength: number, label: string): PoolBuffer {
    const size = Math.min(sizeClass(byteLength), this.limitBytes)
    const own = this.arena?.free.get(size)?.pop()
    const buffer = own ?? this.free.get(size)?.pop() ?? this.create(size, label)
    this.inUse?.set(buffer, label)
    if (own) return own
    this.arena?.owned.add(buffer)
    this.usedBytes += buffer.byteLength
    this.peakUsedBytes = Math.max(this.peakUsedBytes, this.usedBytes)
    return buffer
  }

  release(buffer: PoolBuffer): void {
    this.inUse?.delete(buffer)
    for (const arena of this.arenas) {
      if (!arena.owned.has(buffer)) continue
      put(arena.free, buffer)
      return
    }
    this.usedBytes -= buffer.byteLength
    put(this.free, buffer)
  }

  /**
   * Buffers acquired until `closeArena` belong to the arena and are reused within it only: work recorded meanwhile can
   * be done again and again, and never writes to what somebody else has got since.
   */
  openArena(): Arena {
    if (this.arena) throw new Error('openArena: one is open already')
    this.arena = { owned: new Set(), free: new Map() }
    this.arenas.add(this.arena)
    return this.arena
  }

  closeArena(): void {
    this.arena = undefined
  }

  /**
   * Opens an arena again, its unused buffers in the order in which they were first acquired: work that acquires and
   * releases as the recorded work did gets the same buffers.
   */
  reopenArena(arena: Arena): void {
    if (this.arena) throw new Error('reopenArena: one is open already')
    const unused = new Set([...arena.free.values()].flat())
    arena.free.clear()
    for (const buffer of [...arena.owned].reverse()) if (unused.has(buffer)) put(arena.free, buffer)
    this.arena = arena
  }

  /** Gives the buffers of an arena back to the pool; those still in use go back when they are released. */
  disband(arena: Arena): void {
    if (!this.arenas.delete(arena)) return
    for (const list of arena.free.values()) for (const buffer of list) this.release(buffer)
  }

  /** Destroys every unused buffer, which nothing that is not submitted may still use, see `Gpu.trim`. */
  trim(): void {
    for (const list of this.free.values()) {
      for (const buffer of list) {
        this.allocatedBytes -= buffer.byteLength
        this.onDestroy(buffer)
        buffer.buffer.destroy()
      }
    }
    this.free.clear()
  }

  private create(byteLength: number, label: string): PoolBuffer {
    // First, as it may throw: then there is no buffer to count.
    const buffer = this.device.createBuffer({ size: byteLength, usage: ALL_USAGES, label })
    this.allocatedBytes += byteLength
    return { id: this.nextId++, byteLength, pool: this, buffer }
  }
}

function put(lists: FreeLists, buffer: PoolBuffer): void {
  const list = lists.get(buffer.byteLength)
  if (list) list.push(buffer)
  else lists.set(buffer.byteLength, [buffer])
}

/** The smallest of 4, 5, 6, 7 · 2^k that holds the bytes, from 256 on. */
export function sizeClass(byteLength: number): number {
  if (byteLength <= ALIGNMENT) return ALIGNMENT
  const quarter = 2 ** (Math.ceil(Math.log2(byteLength)) - 3)
  // Rounded up to the alignment: small classes then coincide, which costs nothing.
  return Math.ceil((Math.ceil(byteLength / quarter) * quarter) / ALIGNMENT) * ALIGNMENT
}
