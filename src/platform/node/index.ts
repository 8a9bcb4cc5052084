import { createHash } from 'node:crypto'
import { checkOptions, NUMBER } from '../../base/options.ts'
import type { Platform } from '../platform.ts'
import { adapterAdvice } from './adapter-advice.ts'
import { datasets } from './archive.ts'
import { nodeDecodePool } from './decode-pool.ts'
import { nodeFiles } from './files.ts'
import { createGpu, defaultGpuOptions, SOFTWARE_ONLY, waitFor } from './gpu.ts'
import { encodePng } from './png.ts'
import { log, onInterrupt, terminalStatus } from './terminal.ts'
import { drawText } from './text.ts'

/**
 * Node as a platform. Nothing starts before it is asked for: Dawn with the first `gpu()`, threads with the first image.
 *
 * @param options.threads  decoding threads; 0 decodes in place. Default: one fewer than processors, at most 16
 */
export function createNodePlatform(options: { threads?: number } = {}): Platform {
  checkOptions('createNodePlatform', options, { threads: NUMBER })
  const gpus = new Map<boolean, Promise<GPU>>()
  return {
    name: 'node',
    gpu(software = false) {
      const known = gpus.get(software)
      if (known) return known
      const made = createGpu([...defaultGpuOptions(), ...(software ? [SOFTWARE_ONLY] : [])])
      gpus.set(software, made)
      return made
    },
    adapterAdvice: (asked) => adapterAdvice(asked),
    files: nodeFiles,
    // Also what a container allows.
    availableBytes: () => process.availableMemory(),
    decoder: nodeDecodePool(options.threads),
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

export const nodePlatform: Platform = createNodePlatform()
