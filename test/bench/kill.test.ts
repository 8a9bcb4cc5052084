import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { killAndResume } from '../../bench/lesson/kill-and-resume.ts'

const folder = mkdtempSync(join(tmpdir(), 'wgrad-kill-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Some of what `npm run kill` does at length. */
test('a run of the lesson that is killed and continued ends with the numbers of one that was not', async () => {
  const { kills, runs } = await killAndResume({ count: 2, seed: 7, folder })
  expect(kills).toBe(2)
  expect(runs).toBeGreaterThan(0)
}, 600_000)
