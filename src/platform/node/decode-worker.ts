import { parentPort } from 'node:worker_threads'
import { DeviceError } from '../../base/errors.ts'
import { serveDecoding } from '../decode-jobs.ts'
import { decodeFile } from './decode-pool.ts'

const port = parentPort
if (port === null) throw new DeviceError('decode-worker', 'runs as a worker thread only')
const serve = serveDecoding(decodeFile, (reply, transfer) => port.postMessage(reply, transfer))
port.on('message', serve)
port.on('messageerror', () => serve())
