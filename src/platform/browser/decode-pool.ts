import { DataError } from '../../base/errors.ts'
import { DEFAULT_DECODING } from '../../image/decode-options.ts'
import { decodeImage } from '../../image/decode.ts'
import { checkThreads, defaultThreads, inPlaceDecodePool, ThreadedDecodePool } from '../decode-pool.ts'
import type { DecodeJob, DecodeReply, StartThread } from '../decode-pool.ts'
import type { DecodePool } from '../platform.ts'
import { bytesOf, type BlobFiles } from './blob-files.ts'
import type { Pixels } from '../../image/pixels.ts'
import { browserDecoder } from './image-bitmap.ts'
import { pngReader } from './png.ts'

/** Decodes images on Web Workers, which get the bytes with the request: only the page can reach every kind of file. */
export function browserDecodePool(
  files: BlobFiles,
  threads = defaultThreads(navigator.hardwareConcurrency),
): DecodePool {
  checkThreads(threads)
  const pool = threads === 0 ? inPlaceDecodePool(decodeBytes) : new ThreadedDecodePool(threads, startWorker)
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

/** Decodes the bytes that came with a job. */
export async function decodeBytes({
  path,
  bytes: given,
  blob,
  resize,
  decoding = DEFAULT_DECODING,
}: DecodeJob): Promise<Pixels> {
  const bytes = given ?? (blob instanceof Blob ? await bytesOf(path, blob) : undefined)
  if (bytes === undefined) throw new DataError(path, 'arrived without its bytes')
  return decodeImage(path, bytes, pngReader, { resize, decoding, platform: browserDecoder })
}

const startWorker: StartThread = ({ reply, ended }) => {
  // Written so that bundlers find the worker.
  const worker = new Worker(new URL('./decode-worker.js', import.meta.url), { type: 'module' })
  worker.onmessage = ({ data }: MessageEvent<DecodeReply>) => reply(data)
  worker.onerror = (event) => {
    worker.terminate()
    ended(event.message || 'the worker file does not load')
  }
  return {
    post: (job) => worker.postMessage(job),
    hold: () => undefined,
    stop: () => Promise.resolve(worker.terminate()),
  }
}
