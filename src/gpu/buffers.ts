/** A GPU buffer of the pool. `id` names it in caches; its size is that of its class, at least what was asked for. */
export interface PoolBuffer {
  readonly id: number
  readonly buffer: GPUBuffer
  readonly byteLength: number
}

/** A part of a buffer, as a kernel binds it. `offset` is a multiple of 256, `size` of 4. */
export interface BufferView {
  readonly buffer: PoolBuffer
  readonly offset: number
  readonly size: number
}

/** Every storage buffer may be bound, copied from and to, and used for uniforms. */
const USAGE = { storage: 0x80, copySource: 0x4, copyTarget: 0x8, uniform: 0x40 }
const ALL_USAGES = USAGE.storage | USAGE.copySource | USAGE.copyTarget | USAGE.uniform

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

  private readonly device: GPUDevice
  private readonly free = new Map<number, PoolBuffer[]>()
  private nextId = 1
  private readonly onDestroy: (buffer: PoolBuffer) => void

  constructor(device: GPUDevice, onDestroy: (buffer: PoolBuffer) => void) {
    this.device = device
    this.onDestroy = onDestroy
  }

  /** The largest buffer that can be bound, which no tensor may pass. */
  get limitBytes(): number {
    const { maxStorageBufferBindingSize, maxBufferSize } = this.device.limits
    return Math.floor(Math.min(maxStorageBufferBindingSize, maxBufferSize) / ALIGNMENT) * ALIGNMENT
  }

  /** @param byteLength  at most `limitBytes` */
  acquire(byteLength: number, label: string): PoolBuffer {
    const size = Math.min(sizeClass(byteLength), this.limitBytes)
    const buffer = this.free.get(size)?.pop() ?? this.create(size, label)
    this.usedBytes += buffer.byteLength
    this.peakUsedBytes = Math.max(this.peakUsedBytes, this.usedBytes)
    return buffer
  }

  release(buffer: PoolBuffer): void {
    this.usedBytes -= buffer.byteLength
    const list = this.free.get(buffer.byteLength)
    if (list) list.push(buffer)
    else this.free.set(buffer.byteLength, [buffer])
  }

  /** Destroys every unused buffer; for when sizes change, as between two phases of progressive resizing. */
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
    this.allocatedBytes += byteLength
    return { id: this.nextId++, byteLength, buffer: this.device.createBuffer({ size: byteLength, usage: ALL_USAGES, label }) }
  }
}

/** The smallest of 4, 5, 6, 7 · 2^k that holds the bytes, from 256 on. */
export function sizeClass(byteLength: number): number {
  if (byteLength <= ALIGNMENT) return ALIGNMENT
  const quarter = 2 ** (Math.ceil(Math.log2(byteLength)) - 3)
  // Rounded up to the alignment: small classes then coincide, which costs nothing.
  return Math.ceil((Math.ceil(byteLength / quarter) * quarter) / ALIGNMENT) * ALIGNMENT
}
