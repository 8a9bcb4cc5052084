import { DataError } from '../base/errors.ts'
import type { Pixels } from '../image/pixels.ts'
import type { DecodePool, DecodeRequest } from '../platform/platform.ts'

/** A file that cannot be decoded. */
export interface BadImage {
  readonly path: string
  /** Reason, as in the error message. */
  readonly reason: string
}

/**
 * Decodes files on all decoding threads.
 *
 * @param use  called with the pixels of a file and its place among the requests; its errors end the work
 * @returns  files that cannot be decoded, in the order of the requests
 */
export async function decodeEach(
  decoder: DecodePool,
  requests: readonly DecodeRequest[],
  use: (pixels: Pixels, i: number) => Promise<void> | void,
): Promise<BadImage[]> {
  const reasons = new Map<number, string>()
  let next = 0
  const work = async () => {
    for (let i = next++; i < requests.length; i = next++) {
      let pixels: Pixels
      try {
        pixels = await decoder.decode(requests[i])
      } catch (error) {
        if (!(error instanceof DataError)) throw error
        reasons.set(i, error.message)
        continue
      }
      await use(pixels, i)
    }
  }
  const end = (error: unknown) => {
    next = requests.length
    throw error
  }
  // Two for each thread: the next is there when one is done.
  await Promise.all(Array.from({ length: Math.max(1, 2 * decoder.threads) }, () => work().catch(end)))
  return [...reasons].sort(([a], [b]) => a - b).map(([i, reason]) => ({ path: requests[i].path, reason }))
}
