import { DataError } from '../../base/errors.ts'
import { DEFAULT_DECODING } from '../../image/decode-options.ts'
import { decodeImage } from '../../image/decode.ts'
import type { Pixels } from '../../image/pixels.ts'
import type { DecodeJob } from '../decode-pool.ts'
import { bytesOf } from './blob-files.ts'
import { browserDecoder } from './image-bitmap.ts'
import { pngReader } from './png.ts'

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
