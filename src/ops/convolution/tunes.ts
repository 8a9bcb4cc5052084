import { currentGpu, type Gpu } from '../../gpu/device.ts'

/** Returns true if `tune` would measure kernels for which no choice exists. */
export function tunes({ force = false }: { readonly force?: boolean } = {}): boolean {
  const { platform, software, familyGiven } = currentGpu()
  return platform.env('TUNE') !== '0' && (force || !(software || familyGiven))
}

/** Work on a GPU that others wait for. */
export interface Going {
  /** Number of fits that train. */
  fits: number
  /** Fulfilled when the last search for kernels that was asked for is over. */
  searched: Promise<unknown>
}

const goings = new WeakMap<Gpu, Going>()

/** Returns the work that is going on on the current GPU. */
export function goingOn(): Going {
  const gpu = currentGpu()
  const going = goings.get(gpu) ?? { fits: 0, searched: Promise.resolve() }
  goings.set(gpu, going)
  return going
}
