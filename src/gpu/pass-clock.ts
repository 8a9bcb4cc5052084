import type { Platform } from '../platform/platform.ts'

/** Bytes of two timestamps. */
const BYTES = 16

/** The time of one compute pass by the GPU's clock. A feature of the device, `timestamp-query`, is needed. */
export class PassClock {
  /** With what the pass is begun. */
  readonly descriptor: GPUComputePassDescriptor
  private readonly querySet: GPUQuerySet
  private readonly resolved: GPUBuffer
  private readonly staging: GPUBuffer

  constructor(device: GPUDevice) {
    this.querySet = device.createQuerySet({ type: 'timestamp', count: 2 })
    this.descriptor = {
      timestampWrites: { querySet: this.querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
    }
    // QUERY_RESOLVE | COPY_SRC, and MAP_READ | COPY_DST
    this.resolved = device.createBuffer({ size: BYTES, usage: 0x200 | 0x4, label: 'timestamps' })
    this.staging = device.createBuffer({ size: BYTES, usage: 0x1 | 0x8, label: 'timestamps' })
  }

  /** Encodes what `read` reads, after the pass and in the same submit. */
  resolve(encoder: GPUCommandEncoder): void {
    encoder.resolveQuerySet(this.querySet, 0, 2, this.resolved, 0)
    encoder.copyBufferToBuffer(this.resolved, 0, this.staging, 0, BYTES)
  }

  /** Waits for the pass. @returns ms */
  async read(platform: Platform): Promise<number> {
    await platform.waitFor(this.staging.mapAsync(1))
    const [begin, end] = new BigUint64Array(this.staging.getMappedRange())
    const timeMs = Number(end - begin) / 1e6
    this.staging.unmap()
    return timeMs
  }
}
