import { DeviceError } from '../base/errors.ts'
import type { Platform } from '../platform/platform.ts'
import type { Gpu, GpuOptions } from './gpu.ts'

export type { Gpu, GpuOptions } from './gpu.ts'
export { KERNEL_FAMILIES, type KernelFamily } from './kernel-families.ts'

let current: Gpu | undefined

/** Returns the GPU that operations run on. @throws DeviceError  if none is open */
export function currentGpu(): Gpu {
  if (current && !current.closed) return current
  throw new DeviceError('wgrad', current ? 'the GPU that operations ran on is closed' : 'no GPU is open', {
    fix: 'call `await openGpu()` first',
  })
}

/** Makes an open GPU the one that operations run on. @throws DeviceError  if it is closed */
export function useGpu(gpu: Gpu): void {
  gpu.requireOpen()
  current = gpu
}

/**
 * Opens a GPU and makes it the current one. If only a software adapter exists, it is used; `gpu.software` and the first
 * line of every command report this.
 *
 * @throws DeviceError  if there is no adapter, with advice on how to get one
 * @throws OptionError  if an option or a setting has an unknown value
 */
export async function openGpuOn(platform: Platform, options: GpuOptions = {}): Promise<Gpu> {
  // Loaded here: a page is open before the engine is.
  const { open } = await import('./gpu.ts')
  const gpu = await open(platform, options)
  useGpu(gpu)
  return gpu
}
