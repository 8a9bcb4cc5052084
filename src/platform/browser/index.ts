import type { Files, Platform } from '../platform.ts'
import { browserDecodePool } from './decode-pool.ts'
import { urlFiles } from './files.ts'
import { drawablePixels } from './drawable.ts'
import { browserGpu } from './gpu.ts'
import { encodePng } from './png.ts'

/**
 * A page (or a worker of it) as a platform.
 *
 * @param options.files    where the data is: `urlFiles(…)` or `folderFiles(…)`. Default: beside the page
 * @param options.threads  decoding threads; 0 decodes in place. Default: one fewer than processors, at most 16
 */
export function createBrowserPlatform(options: { files?: Files; threads?: number } = {}): Platform {
  const files = options.files ?? urlFiles(location.href)
  const settings = new URLSearchParams(location.search)
  return {
    name: 'browser',
    gpu: browserGpu,
    adapterAdvice: () => 'use a browser with WebGPU, with hardware acceleration switched on',
    files,
    availableBytes: freeMemory,
    decoder: browserDecodePool(files, options.threads),
    encodePng,
    drawablePixels,
    sha256,
    // `?NAME=` sets nothing, as in a shell.
    env: (name) => settings.get(name) || undefined,
    now: () => performance.now(),
    log: (line) => console.log(line),
    status: undefined,
    // A page's promises take no processor time while they are pending.
    waitFor: (done) => done,
    // There is no Ctrl-C in a page: a stop button calls `learner.interrupt()`.
    onInterrupt: () => () => undefined,
  }
}

/** Half of what the machine has, in GiB and at most 8, which only some browsers tell. Source: W3C Device Memory. */
function freeMemory(): number | undefined {
  const { deviceMemory } = navigator as { readonly deviceMemory?: number }
  return deviceMemory === undefined ? undefined : deviceMemory * 2 ** 29
}

async function sha256(content: Uint8Array | string): Promise<string> {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
  const digest = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
