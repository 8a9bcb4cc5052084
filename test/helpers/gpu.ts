import { afterAll, afterEach } from 'vitest'
import { openGpuOn, type Gpu, type GpuOptions } from '../../src/gpu/device.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'
import type { Platform } from '../../src/platform/platform.ts'

export interface TestGpuOptions extends GpuOptions {
  /** Fill every buffer with NaN when it is handed out, so that a kernel that leaves something unwritten shows. Default true */
  readonly poison?: boolean
}

/**
 * Opens a GPU for the tests of one file and makes it the current one: `const gpu = await openTestGpu()` at its top.
 * A software adapter is enough; without any adapter the file fails, it is never skipped. Whatever the GPU reports
 * late fails the test during which it came.
 */
export async function openTestGpu({ poison = true, ...options }: TestGpuOptions = {}): Promise<Gpu> {
  const gpu = await openGpuOn(quietPlatform, options)
  if (poison) poisonBuffers(gpu)
  afterEach(() => gpu.queue.finished())
  afterAll(() => gpu.close())
  return gpu
}

/** Silences the tuner's lines before a fit on a GPU, which are no stray output; tests of the tuner read their own platform's log. */
const quietPlatform: Platform = { ...nodePlatform, log: () => {}, status: undefined }

/** Bytes that are NaN as f32 and as f16, and the largest u32. */
const POISON = new Uint8Array(1 << 20).fill(0xff)

function poisonBuffers(gpu: Gpu): void {
  const { buffers, queue } = gpu
  const acquire = buffers.acquire.bind(buffers)
  const poison = acquire(POISON.length, 'poison')
  gpu.device.queue.writeBuffer(poison.buffer, 0, POISON)
  buffers.acquire = (byteLength, label) => {
    const buffer = acquire(byteLength, label)
    // Copies, since they keep their place among the launches recorded before and after.
    for (let offset = 0; offset < buffer.byteLength; offset += POISON.length) {
      const size = Math.min(POISON.length, buffer.byteLength - offset)
      queue.copy({ buffer: poison, offset: 0, size }, { buffer, offset, size })
    }
    return buffer
  }
}
