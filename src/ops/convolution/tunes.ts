import { currentGpu } from '../../gpu/device.ts'

/** Returns true if `tune` would measure kernels for which no choice exists. */
export function tunes({ force = false }: { readonly force?: boolean } = {}): boolean {
  const { platform, software, familyGiven } = currentGpu()
  return platform.env('TUNE') !== '0' && (force || !(software || familyGiven))
}
