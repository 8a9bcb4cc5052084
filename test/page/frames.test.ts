import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { measureFrames } from '../../bench/frames/frames.ts'
import { executablePath } from './site.ts'

const dist = fileURLToPath(new URL('../../dist', import.meta.url))

test.skipIf(executablePath === undefined)('a page is drawn while a Worker trains', async () => {
  const { idle, worker, page } = await measureFrames(dist, executablePath!, 3)
  // Even on a busy machine; without other work there are 60.
  expect(worker.perSecond).toBeGreaterThan(5)
  expect(worker.perSecond).toBeGreaterThan(idle.perSecond / 6)
  expect(worker.longestTaskMs).toBeLessThan(500)
  expect(worker.imagesPerSecond).toBeGreaterThan(1)
  expect(page.imagesPerSecond).toBeGreaterThan(1)
  expect(page.perSecond).toBeGreaterThan(0.5)
})
