import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { openGpuOn } from '../../src/gpu/device.ts'
import { relu } from '../../src/ops/relu.ts'
import { empty } from '../../src/tensor/launch.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { openTestGpu, testPlatform } from '../helpers/gpu.ts'

test('the memory of models that were dropped is used again before dozens of them hold it', async () => {
  const [models, tensors, bytes] = [60, 8, 4 * 2 ** 20]
  const { buffers } = await openTestGpu()
  const before = buffers.usedBytes
  let most = 0
  for (let model = 0; model < models; model++) {
    for (let i = 0; i < tensors; i++) empty({ shape: [bytes / 4], dtype: 'f32' })
    most = Math.max(most, buffers.usedBytes - before)
    // Callbacks of a FinalizationRegistry run between two tasks.
    await new Promise((resolve) => setTimeout(resolve))
  }
  expect(most).toBeLessThan((models * tensors * bytes) / 2)
})

setFlagsFromString('--expose-gc')
/** Collects garbage at once: `gc()`, which Node has with --expose-gc. */
const collectGarbage = runInNewContext('gc') as () => void

test('a GPU that is closed is no longer held once another is open', async () => {
  /** Opens a GPU, computes on it and closes it. */
  const used = async (): Promise<WeakRef<object>> => {
    const gpu = await openGpuOn(testPlatform())
    expect(await read(relu(tensor([1, -2, 3], [3])))).toEqual(new Float32Array([1, 0, 3]))
    gpu.close()
    return new WeakRef(gpu)
  }
  const gpu = await used()
  // The last one that operations ran on is remembered, so that they can say that it is closed.
  await used()
  // What a driver still holds, it lets go in a turn of its own.
  await expect.poll(() => (collectGarbage(), gpu.deref() === undefined)).toBe(true)
})
