import { expect, test } from 'vitest'
import { answers } from '../../bench/page/answers.ts'

/** A Worker that says nothing. */
function silent() {
  const worker = { terminated: 0, terminate: () => void worker.terminated++ }
  return worker
}

test.each([
  ['before it is asked', 0],
  ['while it works', 1],
])('a worker that is cancelled %s ends', async (_name, turns) => {
  const worker = silent()
  const control = new AbortController()
  const cancel = () => control.abort(new Error('Cancelled.'))
  if (turns === 0) cancel()
  const asked = answers(worker as unknown as Worker, control.signal, () => undefined)
  if (turns === 1) setTimeout(cancel)
  const late = new Promise((resolve) => setTimeout(resolve, 1000, 'it goes on'))
  expect(await Promise.race([asked.catch(String), late])).toBe('Error: Cancelled.')
  expect(worker.terminated).toBe(1)
})
