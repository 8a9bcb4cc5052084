import { afterAll, afterEach, expect } from 'vitest'
import { rng } from '../../src/base/rng.ts'
import { openGpuOn, type Gpu, type GpuOptions } from '../../src/gpu/device.ts'
import { nanFiller } from '../../src/gpu/over-nan.ts'
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
  const gpu = await openGpuOn(testPlatform(), options)
  if (poison) nanFiller(gpu).fillAcquired()
  afterEach(() => gpu.queue.finished())
  afterAll(() => gpu.close())
  return gpu
}

/**
 * Expects that no more GPU memory is in use than before. There may be less: what earlier tests of the file dropped is collected
 * at any time, while a test waits.
 */
export async function expectNothingLeft(gpu: Gpu, usedBytesBefore: number): Promise<void> {
  await gpu.queue.finished()
  expect(gpu.buffers.usedBytes).toBeLessThanOrEqual(usedBytesBefore)
}

/** Time that the tuner's first thirty kernels take to compile by the clock of the tests: half of what it has, after which it compiles no more. */
const COMPILING_MS = 10_000

/**
 * Platform on which nothing depends on how fast the machine is. Where fits begin with the tuner, which kernels it tries in its
 * time, takes and keeps is told by a clock that goes on by 10 to 70 ms whenever it is looked at, in one and the same sequence,
 * and its table is not that of other test files. Its lines are no stray output: tests of the tuner read their own platform's log.
 */
export function testPlatform(): Platform {
  const steps = rng(0, 'clock of the tests')
  const cache = crypto.randomUUID()
  let nowMs = 0
  return {
    ...nodePlatform,
    now: () => (nowMs += steps.uniform(10, 70)),
    env(name) {
      const value = nodePlatform.env(name)
      return name === 'WGRAD_CACHE' && value !== undefined ? nodePlatform.files.join(value, cache) : value
    },
    log: () => {},
    status(text) {
      if (text.startsWith('compiling')) nowMs += COMPILING_MS
    },
  }
}
