import { createHash } from 'node:crypto'
import { OptionError } from '../../base/errors.ts'
import { checkOptions, FUNCTION, NUMBER, TEXT } from '../../base/options.ts'
import type { Files, Platform } from '../platform.ts'
import { adapterAdvice } from './adapter-advice.ts'
import { compileBeside } from './compile-beside.ts'
import { datasets } from './archive.ts'
import { nodeDecodePool } from './decode-pool.ts'
import { nodeFiles } from './files.ts'
import { chooseGpu, createGpu, waitFor, WEBGPUS, type WebGpuChoice } from './gpu.ts'
import { encodePng } from './png.ts'
import { log, onInterrupt, terminalStatus } from './terminal.ts'
import { drawText } from './text.ts'
import { weigh } from './weigh.ts'

/** Options of `createNodePlatform`. */
export interface NodePlatformOptions {
  /** Decoding threads; 0 decodes in place. Default: one fewer than processors, at most 16 */
  readonly threads?: number
  /**
   * Implementation of WebGPU: `dawn`, the package webgpu, or `runtime`, that of the runtime itself, which Deno has. Default: the
   * setting `WEBGPU`, otherwise `dawn`, and `runtime` where Dawn's binding does not load
   */
  readonly webgpu?: 'dawn' | 'runtime'
  /**
   * Function that returns the contents of an image that is not on the disk, such as one of a database: bytes of a JPEG or PNG
   * by the name that `getItems` gave it, or undefined for a path on the disk. Default: all are on the disk
   */
  readonly read?: (path: string) => Uint8Array | undefined | Promise<Uint8Array | undefined>
}

/**
 * Node, Deno or Bun as a platform. Nothing starts before it is asked for: Dawn with the first `gpu()`, threads with the
 * first image.
 *
 *   const platform = createNodePlatform({ read: (name) => images.get(name) })
 *   const loaders = await new DataBlock({ getItems: () => [...images.keys()], … }).loaders('', { platform })
 */
export function createNodePlatform(options: NodePlatformOptions = {}): Platform {
  checkOptions('createNodePlatform', options, { threads: NUMBER, webgpu: TEXT, read: FUNCTION })
  const { threads, webgpu, read } = options
  const files = read ? readBy(read) : nodeFiles
  const gpus = new Map<boolean, Promise<GPU>>()
  const runtime = 'navigator' in globalThis ? (navigator as { readonly gpu?: GPU }).gpu : undefined
  return {
    name: 'node',
    gpu(software = false) {
      const known = gpus.get(software)
      if (known) return known
      const choice = webGpuChoice(webgpu)
      const made = chooseGpu(choice, software, { dawn: createGpu, runtime, log })
      gpus.set(software, made)
      return made
    },
    compileBeside,
    adapterAdvice: (asked) => adapterAdvice(asked),
    files,
    // Also what a container allows.
    availableBytes: () => process.availableMemory(),
    weigh,
    decoder: nodeDecodePool(threads, read && files.read),
    datasets,
    encodePng,
    drawText,
    sha256: (content) => Promise.resolve(createHash('sha256').update(content).digest('hex')),
    // `NAME= command` is how a shell unsets a variable for one command.
    env: (name) => process.env[name] || undefined,
    now: () => performance.now(),
    log,
    status: terminalStatus(),
    waitFor,
    onInterrupt,
  }
}

/** Files of the disk, and what a function reads, which has no first bytes that cost less than all of them. */
function readBy(read: NonNullable<NodePlatformOptions['read']>): Files {
  const { glance: _glance, ...disk } = nodeFiles
  return { ...disk, read: async (path) => (await read(path)) ?? disk.read(path) }
}

function webGpuChoice(option: string | undefined): WebGpuChoice | undefined {
  const given = option ?? (process.env['WEBGPU'] || undefined)
  const found = WEBGPUS.find((name) => name === given)
  if (found !== undefined || given === undefined) return found
  throw new OptionError(
    'createNodePlatform',
    `${option === undefined ? 'WEBGPU' : 'webgpu'} is not one of its values`,
    {
      given: { webgpu: given },
      expected: WEBGPUS.join(' or '),
    },
  )
}

/** Platform of this process: files, decoding threads, WebGPU and terminal. Everything in Node uses it unless another is given. */
export const nodePlatform: Platform = createNodePlatform()
