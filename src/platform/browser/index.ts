import { ANY, checkOptions, NUMBER } from '../../base/options.ts'
import type { Files, Platform } from '../platform.ts'
import { browserDecodePool } from './decode-pool.ts'
import { memoryFiles } from './blob-files.ts'
import { storageFiles, urlFiles } from './files.ts'
import { drawablePixels } from './drawable.ts'
import { browserGpu } from './gpu.ts'
import { PageFiles } from './page-files.ts'

/** Options of `createBrowserPlatform`. */
export interface BrowserPlatformOptions {
  /** Where files are read: `urlFiles(…)`, `folderFiles(…)` or `storageFiles()`. Default: beside the page, without a page in memory */
  readonly files?: Files
  /** Where files are written, and looked for first: `storageFiles()` or `folderFiles(…)`. Default: where they are read */
  readonly save?: Files
  /** Decoding threads; 0 decodes in place. Default: one fewer than processors, at most 16 */
  readonly threads?: number
}

/** Folder, among the files of a platform, of what the library keeps from one visit to the next: chosen kernels. */
const CACHE = '.wgrad'

/** A page (or a worker of it) as a platform. */
export function createBrowserPlatform(options: BrowserPlatformOptions = {}): Platform & { readonly files: PageFiles } {
  checkOptions('createBrowserPlatform', options, { files: ANY, save: ANY, threads: NUMBER })
  // There is none in Deno, unless it is started with --location.
  const page: Location | undefined = globalThis.location
  const files = new PageFiles(options.files ?? (page ? urlFiles(page.href) : memoryFiles()), options.save)
  files.mount(storageFiles(CACHE), CACHE)
  const settings = new URLSearchParams(page?.search)
  return {
    name: 'browser',
    gpu: browserGpu,
    adapterAdvice: () => 'use a browser with WebGPU, with hardware acceleration switched on',
    files,
    availableBytes: freeMemory,
    decoder: browserDecodePool(files, options.threads),
    encodePng: async (picture) => (await import('./png.ts')).encodePng(picture),
    drawText: async (request) => (await import('./text.ts')).drawText(request),
    drawablePixels,
    sha256,
    version: navigator.userAgent,
    drawsPage: 'document' in globalThis,
    // `?NAME=` sets nothing, as in a shell.
    env: (name) => settings.get(name) || (name === 'WGRAD_CACHE' ? CACHE : undefined),
    now: () => performance.now(),
    log: (line) => console.log(line),
    status: undefined,
    // A page's promises take no processor time while they are pending.
    waitFor: (done) => done,
    // There is no Ctrl-C in a page: a stop button calls `learner.interrupt()`.
    onInterrupt: () => () => undefined,
  }
}

/** Memory of a machine, in GiB, whose browser does not tell: that of a telephone of some years ago. */
const UNKNOWN_GIB = 2

/**
 * Half of what the machine has, which only some browsers tell, as at most 8 GiB: tabs beside this one take some, and a tab
 * that takes too much is ended. Source: W3C Device Memory.
 */
function freeMemory(): number {
  const { deviceMemory = UNKNOWN_GIB } = navigator as { readonly deviceMemory?: number }
  return deviceMemory * 2 ** 29
}

async function sha256(content: Uint8Array | string): Promise<string> {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
  const digest = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
