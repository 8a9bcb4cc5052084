/**
 * Decoding of one image after the other, where it is done: on a worker or in place. It imports nothing later, so that bundlers
 * make one file of a worker: Vite before version 8 refuses one of several.
 */
import { DataError, WgradError } from '../base/errors.ts'
import { editPixels } from '../image/pixel-edits.ts'
import type { Pixels } from '../image/pixels.ts'
import { resizePixels } from '../image/resize.ts'
import { DECODE_ERRORS, type DecodeJob, type DecodeReply } from './decode-pool.ts'
import type { DecodePool } from './platform.ts'

/**
 * Does a job: decodes, or resizes what was decoded before.
 *
 * @param decode  decodes the file of a job
 */
export async function doJob(job: DecodeJob, decode: (job: DecodeJob) => Promise<Pixels>): Promise<Pixels> {
  const { from, resize, edits = [], share = false } = job
  const sized = from ? (resize ? resizePixels(from, resize) : from) : await decode(job)
  const pixels = edits.length > 0 ? editPixels(sized, edits) : sized
  if (!share) return pixels
  const data = new Uint8Array(new SharedArrayBuffer(pixels.data.byteLength))
  data.set(pixels.data)
  return { ...pixels, data }
}

/**
 * The worker's side: decodes the jobs one after the other and sends the pixels without copying them.
 *
 * @returns what to call with each message, and without one for a message that cannot be read
 */
export function serveDecoding(
  decode: (job: DecodeJob) => Promise<Pixels>,
  send: (reply: DecodeReply, transfer: ArrayBuffer[]) => void,
): (job?: DecodeJob) => void {
  let last = Promise.resolve()
  const serve = async (job: DecodeJob): Promise<void> => {
    try {
      const pixels = await doJob(job, decode)
      send(pixels, pixels.data.buffer instanceof ArrayBuffer ? [pixels.data.buffer] : [])
    } catch (error) {
      const known =
        error instanceof WgradError ? error : new DataError(job.path, `could not be decoded (${String(error)})`)
      send(
        { error: known.message, kind: DECODE_ERRORS.find(([, Kind]) => known instanceof Kind)?.[0] ?? 'DataError' },
        [],
      )
    }
  }
  send('ready', [])
  return (job) => {
    last = last.then(() => (job ? serve(job) : send('unread', [])))
  }
}

/** A pool without threads, for tests and for running from the sources: decodes where it is called. */
export function inPlaceDecodePool(decode: (job: DecodeJob) => Promise<Pixels>): DecodePool {
  return { threads: 0, decode: (job) => doJob(job, decode), close: () => Promise.resolve() }
}
