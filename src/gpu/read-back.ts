import type { Platform } from '../platform/platform.ts'
import { BUFFER_USAGE, MAP_MODE } from './flags.ts'

/** Size of the smallest staging buffer, in bytes, so that reads of a few numbers share one. */
const LEAST_BYTES = 256

/**
 * Function that waits for a staged copy and returns its bytes. Called at most once, after the submit.
 *
 * @param sleepMs  pause between two checks whether the copy is done. Default: the platform's
 */
export type StagedRead = (platform: Platform, options?: { readonly sleepMs: number }) => Promise<ArrayBuffer>

/** Staging buffers through which the CPU reads what the GPU has written, each reused when its read is over. */
export class ReadBack {
  private readonly device: GPUDevice
  private readonly label: string
  private readonly unused: GPUBuffer[] = []

  constructor(device: GPUDevice, label: string) {
    this.device = device
    this.label = label
  }

  /** Encodes the copy of a part of a buffer to a staging buffer. */
  stage(encoder: GPUCommandEncoder, source: GPUBuffer, offset: number, size: number): StagedRead {
    const staging = this.take(size)
    encoder.copyBufferToBuffer(source, offset, staging, 0, size)
    return async (platform, options) => {
      await platform.waitFor(staging.mapAsync(MAP_MODE.READ, 0, size), options)
      const bytes = staging.getMappedRange(0, size).slice(0)
      staging.unmap()
      this.unused.push(staging)
      return bytes
    }
  }

  /** Destroys the buffers that no read uses. */
  trim(): void {
    for (const buffer of this.unused.splice(0)) buffer.destroy()
  }

  /** Returns the smallest unused buffer that is large enough: with any, small reads would leave large ones none. */
  private take(size: number): GPUBuffer {
    const fitting = this.unused.filter((buffer) => buffer.size >= size)
    if (fitting.length > 0) {
      const smallest = fitting.reduce((least, buffer) => (buffer.size < least.size ? buffer : least))
      return this.unused.splice(this.unused.indexOf(smallest), 1)[0]
    }
    const usage = BUFFER_USAGE.MAP_READ | BUFFER_USAGE.COPY_DST
    return this.device.createBuffer({ size: Math.max(LEAST_BYTES, size), usage, label: this.label })
  }
}
