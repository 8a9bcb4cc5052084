import { DataError } from '../base/errors.ts'
import { currentGpu } from '../gpu/device.ts'
import type { Platform } from '../platform/platform.ts'

/** A file that cannot be decoded. */
export interface BadImage {
  readonly path: string
  /** Reason, as in the error message. */
  readonly reason: string
}

/**
 * Decodes every file, on all decoding threads, and says which cannot be: what loaders do not look at before training.
 *
 *   const bad = await verifyImages(await getImageFiles(path))
 *
 * @returns  those that cannot be decoded, in the order of `paths`
 * Source: fastai vision/utils.py, verify_images.
 */
export async function verifyImages(
  paths: readonly string[],
  options: { readonly platform?: Platform } = {},
): Promise<BadImage[]> {
  const { decoder } = options.platform ?? currentGpu().platform
  const reasons = new Map<number, string>()
  let next = 0
  const work = async () => {
    for (let i = next++; i < paths.length; i = next++) {
      try {
        await decoder.decode({ path: paths[i] })
      } catch (error) {
        if (!(error instanceof DataError)) throw error
        reasons.set(i, error.message)
      }
    }
  }
  // Two for each thread: the next is there when one is done.
  await Promise.all(Array.from({ length: Math.max(1, 2 * decoder.threads) }, work))
  return [...reasons].sort(([a], [b]) => a - b).map(([i, reason]) => ({ path: paths[i], reason }))
}
