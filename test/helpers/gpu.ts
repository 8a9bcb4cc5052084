import { create, globals } from 'webgpu'
import { afterAll, afterEach } from 'vitest'
import { openGpuOn, type Gpu, type GpuOptions } from '../../src/gpu/device.ts'
import type { Platform } from '../../src/platform/platform.ts'

/**
 * Opens a GPU for the tests of one file and makes it the current one: `const gpu = await openTestGpu()` at its top.
 * A software adapter is enough; without any adapter the file fails, it is never skipped. Whatever the GPU reports
 * late fails the test during which it came.
 */
export async function openTestGpu(options: GpuOptions = {}): Promise<Gpu> {
  const gpu = await openGpuOn(testPlatform(), options)
  afterEach(() => gpu.queue.finished())
  afterAll(() => gpu.close())
  return gpu
}

/** Stands in for the Node platform until that is there: only what a GPU needs. */
function testPlatform(): Platform {
  Object.assign(globalThis, globals)
  const asleep = new Int32Array(new SharedArrayBuffer(4))
  const absent = (): never => {
    throw new Error('not a part of the test platform')
  }
  return {
    name: 'node',
    gpu: () => create([]),
    get files() {
      return absent()
    },
    get decoder() {
      return absent()
    },
    encodePng: absent,
    env: (name) => process.env[name],
    now: () => performance.now(),
    log: absent,
    status: undefined,
    async waitFor(done, { sleepMs = 0 } = {}) {
      let pending = true
      const turn = () => {
        if (!pending) return
        // The binding polls its events as fast as the event loop turns, and a software adapter wants that core.
        if (sleepMs > 0) Atomics.wait(asleep, 0, 0, sleepMs)
        setImmediate(turn)
      }
      turn()
      try {
        return await done
      } finally {
        pending = false
      }
    },
    onInterrupt: () => () => {},
  }
}
