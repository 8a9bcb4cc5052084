import { expect, test } from 'vitest'
import { accuracy, Learner, type Callback } from '../../src/browser.ts'
import { tinyLoaders, tinyModel } from '../helpers/tiny.ts'
import { openPageGpu } from './helpers/images.ts'

const { gpu } = await openPageGpu()

/** Memory of the page's objects in bytes, which Chromium tells. */
const heap = () => (performance as unknown as { memory: { usedJSHeapSize: number } }).memory.usedJSHeapSize

test('500 steps take no more memory than 100, on the GPU and in the page', async () => {
  const seen: { gpu: number; heap: number }[] = []
  const look: Callback = {
    name: 'look',
    order: 90,
    replayable: true,
    afterEpoch: () => void seen.push({ gpu: gpu.buffers.allocatedBytes, heap: heap() }),
  }
  const loaders = await tinyLoaders({ train: 80, batchSize: 4 })
  const learner = new Learner(loaders, tinyModel(), { metrics: [accuracy], callbacks: [look] }).toFp16()
  await learner.fit(25)
  expect(loaders.train.batchCount).toBe(20)
  expect(seen).toHaveLength(25)
  const [early, late] = [seen.slice(3, 8), seen.slice(-5)]
  const least = (some: typeof seen, of: 'gpu' | 'heap') => Math.min(...some.map((one) => one[of]))
  expect(least(late, 'gpu')).toBeLessThanOrEqual(least(early, 'gpu'))
  // What a few losses and rows of the table take, and what is not collected yet.
  expect(least(late, 'heap') - least(early, 'heap')).toBeLessThan(8 * 2 ** 20)
})
