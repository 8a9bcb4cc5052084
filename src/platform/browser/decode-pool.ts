import { checkThreads, defaultThreads, ThreadedDecodePool } from '../decode-pool.ts'
import type { DecodeJob, DecodeReply, Instead, StartThread } from '../decode-pool.ts'
import type { Pixels } from '../../image/pixels.ts'
import type { DecodePool } from '../platform.ts'
import type { BlobFiles } from './blob-files.ts'

/** Decodes images on Web Workers, which get the bytes with the request: only the page can reach every kind of file. */
export function browserDecodePool(
  files: BlobFiles,
  threads = defaultThreads(navigator.hardwareConcurrency),
): DecodePool {
  checkThreads(threads)
  const pool =
    threads === 0
      ? { decode: decodeHere, close: () => Promise.resolve() }
      : new ThreadedDecodePool(threads, startWorker, onThisThread)
  return {
    threads,
    shares: globalThis.crossOriginIsolated,
    decode: async (request) => {
      if (request.bytes || request.from) return pool.decode(request)
      const { path } = request
      // A thread reads its own file where it can, so that those that wait for their turn take no memory.
      const blob = await files.blob?.(path)
      const job: DecodeJob = blob ? { ...request, blob } : { ...request, bytes: await files.read(path) }
      return pool.decode(job)
    },
    close: () => pool.close(),
  }
}

/** Decodes on this thread. The decoders are loaded with the first image, as most pages decode on Workers, which have them. */
async function decodeHere(job: DecodeJob): Promise<Pixels> {
  const [{ doJob }, { decodeBytes }] = await Promise.all([import('../decode-jobs.ts'), import('./decode-bytes.ts')])
  return doJob(job, decodeBytes)
}

/** A bundler that makes no file of the worker leaves a page without one. */
const onThisThread: Instead = {
  decode: decodeHere,
  say: (reason) =>
    console.log(
      `images are decoded on this thread, which takes longer, as there is no worker for it (${reason}): ` +
        'node_modules/wgrad/dist/src/platform/browser/decode-worker.js can be an entry of its own beside the page',
    ),
}

/**
 * Time without an image after which a worker ends, and its memory is the page's again: a training that has all images in
 * memory needs none, nor does a page whose GPU is closed. Longer than most pauses between two passes over the images.
 */
const IDLE_MS = 30_000

const startWorker: StartThread = ({ reply, ended }) => {
  // Written so that bundlers find the worker.
  const worker = new Worker(new URL('./decode-worker.js', import.meta.url), { type: 'module' })
  worker.onmessage = ({ data }: MessageEvent<DecodeReply>) => reply(data)
  worker.onmessageerror = () => reply('unread')
  worker.onerror = (event) => {
    worker.terminate()
    ended(event.message || 'the worker file does not load')
  }
  let idle: ReturnType<typeof setTimeout> | undefined
  const leave = () => {
    worker.terminate()
    ended('it had nothing to do')
  }
  return {
    post: (job) => worker.postMessage(job),
    hold: (busy) => {
      clearTimeout(idle)
      if (!busy) idle = setTimeout(leave, IDLE_MS)
    },
    stop: () => Promise.resolve(worker.terminate()),
  }
}
