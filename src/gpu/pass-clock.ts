import type { Platform } from '../platform/platform.ts'
import { BUFFER_USAGE } from './flags.ts'
import { ReadBack, type StagedRead } from './read-back.ts'

/** Size of two timestamps, in bytes. */
const BYTES = 16

/** Time of one compute pass by the GPU's clock. Needs the device feature `timestamp-query`. */
export class PassClock {
  /** Descriptor with which the pass must be begun. */
  readonly descriptor: GPUComputePassDescriptor
  private readonly querySet: GPUQuerySet
  private readonly resolved: GPUBuffer
  private readonly readBack: ReadBack
  private staged: StagedRead | undefined

  constructor(device: GPUDevice) {
    this.querySet = device.createQuerySet({ type: 'timestamp', count: 2 })
    this.descriptor = {
      timestampWrites: { querySet: this.querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
    }
    const usage = BUFFER_USAGE.QUERY_RESOLVE | BUFFER_USAGE.COPY_SRC
    this.resolved = device.createBuffer({ size: BYTES, usage, label: 'timestamps' })
    this.readBack = new ReadBack(device, 'timestamps')
  }

  /** Encodes the copy of the timestamps, after the pass and in the same submit. */
  resolve(encoder: GPUCommandEncoder): void {
    encoder.resolveQuerySet(this.querySet, 0, 2, this.resolved, 0)
    this.staged = this.readBack.stage(encoder, this.resolved, 0, BYTES)
  }

  /** Waits for the pass. @returns ms */
  async read(platform: Platform): Promise<number> {
    if (!this.staged) throw new Error('PassClock.read: nothing was resolved')
    const [begin, end] = new BigUint64Array(await this.staged(platform))
    return Number(end - begin) / 1e6
  }
}
