import { ANY, checkOptions } from '../base/options.ts'
import { currentGpu } from '../gpu/device.ts'
import type { Platform } from '../platform/platform.ts'
import { decodeEach, type BadImage } from './decode-each.ts'

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
  checkOptions('verifyImages', options, { platform: ANY })
  const { decoder } = options.platform ?? currentGpu().platform
  return decodeEach(
    decoder,
    paths.map((path) => ({ path })),
    () => {},
  )
}
