import type { BufferView, PoolBuffer } from '../gpu/buffers.ts'
import type { Gpu } from '../gpu/device.ts'

/** Image in GPU memory: 8-bit RGBA, one u32 for each pixel. */
export interface ResidentImage {
  readonly view: BufferView
  readonly width: number
  readonly height: number
}

/** Size of one buffer: small enough for every limit of WebGPU, large enough for 334 images of 224 × 224. */
const CHUNK_BYTES = 64 * 2 ** 20

/**
 * Budget on a GPU where none is given: WebGPU does not tell how much memory there is. It holds 16,000 images of
 * 128 × 128 or 5,300 of 224 × 224.
 */
const DEFAULT_BYTES = 2 ** 30

/** Returns the default budget in bytes: none on a software adapter, whose memory is that of the processor. */
export function residentBudget({ software }: Gpu): number {
  return software ? 0 : DEFAULT_BYTES
}

/** Bytes of all images on a GPU: several data sets share the budget. */
const usedBytes = new WeakMap<Gpu, number>()

/** Returns buffers to the pool when the images in them cannot be reached any more. */
const unreachable = new FinalizationRegistry<{ readonly gpu: Gpu; readonly buffers: readonly PoolBuffer[] }>(
  ({ gpu, buffers }) => {
    for (const buffer of buffers) {
      gpu.buffers.release(buffer)
      usedBytes.set(gpu, (usedBytes.get(gpu) ?? 0) - buffer.byteLength)
    }
  },
)

/**
 * Images of finished size in the memory of a GPU, by name: from the second epoch on, a batch of them is put together by
 * copies there, so that an epoch sends numbers only. The first image that does not fit ends the growth; what there is
 * stays.
 */
export class ResidentImages {
  readonly limitBytes: number
  private readonly gpu: Gpu
  private readonly buffers: PoolBuffer[] = []
  private readonly images = new Map<string, ResidentImage>()
  /** Buffer that is being filled, and how far. */
  private chunk: { readonly buffer: PoolBuffer; used: number } | undefined
  /** True while the driver has not yet said whether there is memory for another buffer. */
  private isGrowing = false
  private isFull = false

  constructor(gpu: Gpu, limitBytes: number) {
    this.gpu = gpu
    this.limitBytes = limitBytes
    unreachable.register(this, { gpu, buffers: this.buffers })
  }

  /** Bytes of all buffers. */
  get usedBytes(): number {
    return this.buffers.reduce((sum, { byteLength }) => sum + byteLength, 0)
  }

  get count(): number {
    return this.images.size
  }

  get(name: string): ResidentImage | undefined {
    return this.images.get(name)
  }

  /** Copies an image from a buffer, where there is room. The copy is done after all work recorded so far. */
  keep(name: string, source: BufferView, { width, height }: { readonly width: number; readonly height: number }): void {
    if (this.images.has(name) || !this.hasRoom(source.size)) return
    const { chunk, gpu } = this
    if (!chunk) return
    const view = { buffer: chunk.buffer, offset: chunk.used, size: source.size }
    gpu.queue.copy(source, view)
    chunk.used += source.size
    this.images.set(name, { view, width, height })
  }

  /** Returns true if the current buffer has room for an image. If not, asks for another, which later images may use. */
  private hasRoom(size: number): boolean {
    if (this.chunk && this.chunk.used + size <= this.chunk.buffer.byteLength) return true
    const wanted = Math.min(Math.max(CHUNK_BYTES, size), this.gpu.buffers.limitBytes)
    const used = usedBytes.get(this.gpu) ?? 0
    if (used + wanted > this.limitBytes || size > wanted) this.isFull = true
    if (!this.isFull && !this.isGrowing) void this.grow(wanted)
    return false
  }

  /** Asks for another buffer. A GPU without memory for it is full, which is no error. */
  private async grow(byteLength: number): Promise<void> {
    const { device, buffers } = this.gpu
    this.isGrowing = true
    device.pushErrorScope('out-of-memory')
    const buffer = buffers.acquire(byteLength, 'images')
    const error = await device.popErrorScope().catch(() => null)
    this.isGrowing = false
    if (error) {
      // The buffer holds no memory, and is not returned to the pool, where others would get it.
      this.isFull = true
      return
    }
    this.buffers.push(buffer)
    usedBytes.set(this.gpu, (usedBytes.get(this.gpu) ?? 0) + buffer.byteLength)
    this.chunk = { buffer, used: 0 }
  }
}
