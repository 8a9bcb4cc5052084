import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { DEFAULT_DECODING } from '../../image/decode-options.ts'
import { decodeImage } from '../../image/decode.ts'
import { inPlaceDecodePool } from '../decode-jobs.ts'
import { checkThreads, defaultThreads, ThreadedDecodePool } from '../decode-pool.ts'
import type { DecodeReply, StartThread } from '../decode-pool.ts'
import type { DecodePool, DecodeRequest } from '../platform.ts'
import type { Pixels } from '../../image/pixels.ts'
import { fileError } from './files.ts'
import { pngReader } from './png.ts'
import { sharpDecoder } from './sharp.ts'
import { turboDecoder } from './turbo.ts'

/**
 * Decodes image files on worker threads; threads = 0 decodes in place, the only way when run from the sources.
 *
 * @param read  function that reads files here. Default: the threads read them
 */
export function nodeDecodePool(
  threads = defaultThreads(availableParallelism()),
  read?: (path: string) => Promise<Uint8Array>,
): DecodePool {
  checkThreads(threads)
  const pool = threads === 0 ? inPlaceDecodePool(decodeFile) : new ThreadedDecodePool(threads, startWorker)
  return {
    threads,
    shares: true,
    decode: async (request) => {
      // Its libraries must be loaded by the main thread before any other, where a worker uses them and then ends.
      await sharpDecoder()
      const held = request.bytes ?? request.from
      return pool.decode(held || !read ? request : { ...request, bytes: await read(request.path) })
    },
    formats: sharpDecoder,
    close: () => pool.close(),
  }
}

/** Reads and decodes one image file. Reading blocks: on a worker there is nothing else to do meanwhile. */
export async function decodeFile({
  path,
  bytes: given,
  resize,
  decoding = DEFAULT_DECODING,
}: DecodeRequest): Promise<Pixels> {
  const bytes = given ?? readBytes(path)
  const platform = await (decoding.decoder === 'turbo' ? turboDecoder() : sharpDecoder())
  return decodeImage(path, bytes, pngReader, {
    resize,
    decoding,
    platform,
    availableBytes: () => process.availableMemory(),
  })
}

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (error) {
    throw fileError(path, error)
  }
}

/** Option of Node for programs on its command line (`node --input-type=module -e …`), which no thread may have. */
const INPUT_TYPE = '--input-type'

const startWorker: StartThread = ({ reply, ended }) => {
  const worker = new Worker(new URL('./decode-worker.js', import.meta.url), {
    execArgv: process.execArgv.filter((word, i, all) => !word.startsWith(INPUT_TYPE) && all[i - 1] !== INPUT_TYPE),
  })
  let reason = ''
  worker.on('message', (message: DecodeReply) => reply(message))
  worker.on('messageerror', () => reply('unread'))
  worker.on('error', (error: Error) => {
    reason = error.message
  })
  // 'exit' follows every 'error', and comes alone when the thread ends itself.
  worker.on('exit', (code) => ended(reason === '' ? `exit code ${code}` : reason))
  worker.unref()
  return {
    post: (job) => worker.postMessage(job),
    hold: (busy) => {
      if (busy) worker.ref()
      else worker.unref()
    },
    stop: async () => {
      await worker.terminate()
    },
  }
}
