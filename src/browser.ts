/**
 * The library in a page. Images come from beside the page, or from `urlFiles(…)` or `folderFiles(…)`.
 *
 * @module wgrad/browser
 */
import { openGpuOn, type Gpu, type GpuOptions } from './gpu/device.ts'
import { createBrowserPlatform } from './platform/browser/index.ts'

export * from './index.ts'
export { createBrowserPlatform } from './platform/browser/index.ts'
export { folderFiles, urlFiles } from './platform/browser/files.ts'

/**
 * Opens the page's GPU and makes it the one that operations run on; everything else takes its platform from there.
 *
 * @param options  those of the GPU, and `files` and `threads` of `createBrowserPlatform`
 */
export function openGpu(options: GpuOptions & Parameters<typeof createBrowserPlatform>[0] = {}): Promise<Gpu> {
  const { files, threads, ...gpu } = options
  return openGpuOn(
    createBrowserPlatform({ ...(files ? { files } : {}), ...(threads === undefined ? {} : { threads }) }),
    gpu,
  )
}
