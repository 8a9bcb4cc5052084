import { afterAll, describe, expect, test } from 'vitest'
import { collectFiles, loadLearner, storageFiles, type PageSource } from '../../src/browser.ts'
import type { FitProgress } from '../../src/exports/train.ts'
import { draw, imageFolder, openPageGpu } from './helpers/images.ts'

await openPageGpu()

interface Message {
  readonly progress?: FitProgress
  readonly model?: Uint8Array
  readonly vocab?: readonly string[]
  readonly error?: string
}

afterAll(() => navigator.storage.getDirectory().then((root) => root.removeEntry('mine.safetensors')))

/** What the Worker says until it has a model or fails, and how well the page is drawn meanwhile. */
async function trained(source: PageSource, stopWhen: (message: Message) => boolean = () => false) {
  const worker = new Worker(new URL('./recipe/train-worker.ts', import.meta.url), { type: 'module' })
  const said: Message[] = []
  let frames = 0
  let longest = 0
  let last = performance.now()
  let over = false
  const frame = (): void => {
    const now = performance.now()
    frames++
    longest = Math.max(longest, now - last)
    last = now
    if (!over) requestAnimationFrame(frame)
  }
  try {
    const end = new Promise<Message>((resolve, reject) => {
      worker.onerror = (event) => reject(new Error(event.message || 'the worker does not load'))
      worker.onmessage = ({ data }: MessageEvent<Message>) => {
        said.push(data)
        if (stopWhen(data)) worker.postMessage('stop')
        if (data.model || data.error !== undefined) resolve(data)
      }
    })
    worker.postMessage(await collectFiles(source))
    requestAnimationFrame(frame)
    const result = await end
    return { said, result, frames, longest }
  } finally {
    over = true
    worker.terminate()
  }
}

describe('training in a Worker', () => {
  test('reports its progress, leaves the page free, and hands over a model', async () => {
    const { said, result, frames } = await trained(await imageFolder(8, 64))
    expect(result.error).toBeUndefined()
    expect(result.vocab).toEqual(['blue', 'green', 'red'])
    const phases = said.flatMap(({ progress }) => (progress ? [progress.phase] : []))
    expect([...new Set(phases)]).toEqual(['prepare', 'train', 'validate', 'end'])
    expect(said.flatMap(({ progress }) => progress?.row ?? []).map(({ epoch }) => epoch)).toEqual([0, 1])
    expect(frames).toBeGreaterThan(10)
    const predictor = await loadLearner(result.model!)
    const { label, probabilities } = await predictor.predict(draw('red', 1, 64))
    expect(['blue', 'green', 'red']).toContain(label)
    // The model that was kept is the one that was handed over.
    const kept = await loadLearner(new Blob([(await storageFiles().read('mine.safetensors')) as BlobPart]))
    expect((await kept.predict(draw('red', 1, 64))).probabilities).toEqual(probabilities)
  })

  test('is stopped in its first moment, and says what fails', async () => {
    const stopped = await trained(await imageFolder(8, 64), ({ progress }) => progress?.phase === 'prepare')
    expect(stopped.said.findLast(({ progress }) => progress)?.progress).toMatchObject({
      phase: 'end',
      interrupted: true,
      step: expect.any(Number),
    })
    expect(stopped.said.flatMap(({ progress }) => progress?.row ?? [])).toEqual([])
    const failed = await trained(new Map([['notes.txt', new Blob(['nothing'])]]))
    expect(failed.result.error).toContain('there is no image in this folder')
  })
})
