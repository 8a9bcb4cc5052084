/** The page whose frames are counted: while nothing happens, while a Worker trains, while it trains itself. */
import { trainFor, type Trained } from './train.ts'

/** Frames of a page while something goes on in it. */
export interface Frames {
  readonly perSecond: number
  /** Longest pause between two frames, in milliseconds. */
  readonly longestPauseMs: number
  /** Longest task of the thread that draws, in milliseconds; 0 where none took 50. Source: W3C Long Tasks. */
  readonly longestTaskMs: number
  /** Images per second; undefined where nothing was trained. */
  readonly imagesPerSecond?: number
}

export type Situation = 'idle' | 'worker' | 'page'

/** Counts frames from the moment that work says it has begun, until it has ended. */
async function count(work: (begun: () => void) => Promise<Trained | undefined>): Promise<Frames> {
  const frames: number[] = []
  let longestTaskMs = 0
  let counting = false
  const observer = new PerformanceObserver((list) => {
    if (counting) for (const { duration } of list.getEntries()) longestTaskMs = Math.max(longestTaskMs, duration)
  })
  observer.observe({ entryTypes: ['longtask'] })
  const draw = (time: number): void => {
    if (!counting) return
    frames.push(time)
    requestAnimationFrame(draw)
  }
  const trained = await work(() => {
    counting = true
    requestAnimationFrame(draw)
  })
  // Tasks are told of later.
  await new Promise((resolve) => setTimeout(resolve, 100))
  counting = false
  observer.disconnect()
  const pauses = frames.slice(1).map((time, i) => time - frames[i])
  const total = pauses.reduce((sum, pause) => sum + pause, 0)
  return {
    perSecond: (1000 * pauses.length) / total,
    longestPauseMs: Math.max(...pauses),
    longestTaskMs,
    ...(trained ? { imagesPerSecond: (1000 * trained.images) / trained.milliseconds } : {}),
  }
}

const SITUATIONS: Readonly<Record<Situation, (seconds: number) => Promise<Frames>>> = {
  idle: (seconds) =>
    count(async (begun) => {
      begun()
      await new Promise((resolve) => setTimeout(resolve, 1000 * seconds))
      return undefined
    }),
  worker: (seconds) =>
    count((begun) => {
      const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
      return new Promise<Trained>((resolve, reject) => {
        worker.onerror = ({ message }) => reject(new Error(message))
        worker.onmessage = ({ data }: MessageEvent<'begun' | Trained | { readonly error: string }>) => {
          if (data === 'begun') return begun()
          if ('error' in data) reject(new Error(data.error))
          else resolve(data)
        }
        worker.postMessage(seconds)
      }).finally(() => worker.terminate())
    }),
  page: (seconds) => count((begun) => trainFor(seconds, begun)),
}

Object.assign(globalThis, { framesWhile: (situation: Situation, seconds: number) => SITUATIONS[situation](seconds) })
