import { afterAll, expect, test } from 'vitest'
import { openGpu } from '../../src/browser.ts'
import { conv2d } from '../../src/ops/conv2d.ts'
import { tune } from '../../src/ops/convolution/tuner.ts'
import { tunedFile } from '../../src/ops/convolution/tuned-file.ts'
import { scope } from '../../src/tensor/scope.ts'
import { zeros } from '../../src/tensor/read-write.ts'

const emptied = () =>
  navigator.storage
    .getDirectory()
    .then((root) => root.removeEntry('.wgrad', { recursive: true }))
    .catch(() => undefined)
afterAll(emptied)

/** One visit: a GPU of its own, on which a convolution is tuned. @returns number of passes that were measured */
async function visit(): Promise<number> {
  const gpu = await openGpu()
  Object.assign(gpu.platform, { log: () => {} })
  scope(() => void conv2d(zeros([1, 4, 4, 4]), zeros([4, 3, 3, 4]), { padding: 1 }))
  const { length } = await tune({ force: true, seconds: 600, candidates: () => [] })
  expect(await gpu.platform.files.exists(tunedFile(gpu)!)).toBe(true)
  expect(gpu.identity.driver).toBe(navigator.userAgent)
  gpu.close()
  return length
}

test('kernels that one visit chose are known to the next', async () => {
  await emptied()
  expect([await visit(), await visit()]).toEqual([1, 0])
  await emptied()
  expect(await visit()).toBe(1)
})
