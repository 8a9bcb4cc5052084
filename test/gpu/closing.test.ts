import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { openGpuOn } from '../../src/gpu/device.ts'
import { relu } from '../../src/ops/relu.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { testPlatform } from '../helpers/gpu.ts'

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
