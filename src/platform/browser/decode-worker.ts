import { serveDecoding } from '../decode-jobs.ts'
import type { DecodeJob } from '../decode-pool.ts'
import { decodeBytes } from './decode-bytes.ts'

const serve = serveDecoding(decodeBytes, (reply, transfer) => postMessage(reply, { transfer }))
addEventListener('message', ({ data }: MessageEvent<DecodeJob>) => serve(data))
addEventListener('messageerror', () => serve())
