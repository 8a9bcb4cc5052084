/**
 * The library in a page. Images come from beside the page, from `urlFiles(…)` or `folderFiles(…)`, or from the visitor, by
 * `addFiles`.
 *
 * @module wgrad/browser
 */
import { OptionError } from './base/errors.ts'
import { checkOptions, TEXT } from './base/options.ts'
import type { HubOptions } from './data/hub.ts'
import { currentGpu, openGpuOn, type Gpu, type GpuOptions } from './gpu/device.ts'
import type { PageSource } from './platform/browser/collect.ts'
import { createBrowserPlatform, type BrowserPlatformOptions } from './platform/browser/index.ts'
import { filesFrom, PageFiles } from './platform/browser/page-files.ts'
import type { LoadLearnerOptions } from './train/files/export.ts'
import type { ModelSource } from './train/files/model-file.ts'
import type { Pretrained } from './train/files/pretrained.ts'
import type { Predictor } from './train/results/predictor.ts'

export * from './index.ts'
export { createBrowserPlatform, type BrowserPlatformOptions } from './platform/browser/index.ts'
export { collectFiles, type PageImage, type PageSource, type Sample } from './platform/browser/collect.ts'
export { memoryFiles } from './platform/browser/blob-files.ts'
export { folderFiles, storageFiles, urlFiles } from './platform/browser/files.ts'
export type { BlobFiles } from './platform/browser/blob-files.ts'
export type { PageFiles } from './platform/browser/page-files.ts'

/**
 * Opens the page's GPU and makes it the one that operations run on; everything else takes its platform from there.
 *
 * @param options  those of the GPU, and `files`, `save` and `threads` of `createBrowserPlatform`
 */
export function openGpu(options: GpuOptions & BrowserPlatformOptions = {}): Promise<Gpu> {
  const { files, save, threads, ...gpu } = options
  return openGpuOn(
    createBrowserPlatform({
      ...(files ? { files } : {}),
      ...(save ? { save } : {}),
      ...(threads === undefined ? {} : { threads }),
    }),
    gpu,
  )
}

/**
 * Loads a file that `learner.export` wrote, or its contents, and returns a predictor, which computes in f32.
 *
 * @param source  path of the file, or its contents: bytes, a Blob or a File
 * @throws DataError  that names the file, if it has another format, is damaged, or holds a model of an unknown architecture
 * @throws DeviceError  if no GPU is open, unless `platform` is given
 */
export async function loadLearner(source: ModelSource, options: Partial<LoadLearnerOptions> = {}): Promise<Predictor> {
  const exported = await import('./train/files/export.ts')
  return exported.loadLearner(source, { ...options, platform: options.platform ?? currentGpu().platform })
}

/**
 * Reads weights from a file, `.safetensors` or a `.pth` of which nothing is executed.
 *
 * @param source  path of the file among those of the page
 * @throws DataError  that names the file, if it is missing, damaged or of another format
 * @throws DeviceError  if no GPU is open, unless `platform` is given
 */
export async function readPretrained(source: string, options: HubOptions = {}): Promise<Pretrained> {
  const pretrained = await import('./train/files/pretrained.ts')
  return pretrained.readPretrained(source, { ...options, platform: options.platform ?? currentGpu().platform })
}

/**
 * Adds files that a visitor gave to the page (a FileList, a drop, a folder, a zip archive, samples in memory) to those of
 * the open GPU, below a name: everything that takes a path takes theirs.
 *
 *   const path = await addFiles(event.dataTransfer)
 *   const loaders = await block.loaders(path)
 *
 * A drop is collected while its event is handled: call this before any `await`, or post `collectFiles(drop)` to a Worker.
 *
 * @param options.name  default files-1, files-2, …
 * @returns  the name, which is the path of their folder
 * @throws OptionError  for something else than files, and for a name that is taken
 * @throws DataError    for a zip archive that is damaged, or holds paths that lead out of it
 */
export async function addFiles(source: PageSource, options: { readonly name?: string } = {}): Promise<string> {
  checkOptions('addFiles', options, { name: TEXT })
  const files = pageFiles()
  return files.mount(await filesFrom(source), options.name)
}

/** Forgets files that `addFiles` added. @returns  false where there are none of this name */
export function removeFiles(name: string): boolean {
  return pageFiles().unmount(name)
}

function pageFiles(): PageFiles {
  const { files } = currentGpu().platform
  if (files instanceof PageFiles) return files
  throw new OptionError('addFiles', 'the platform of the open GPU is not that of a page', {
    fix: 'open the GPU by openGpu() of wgrad/browser',
  })
}
