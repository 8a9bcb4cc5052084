import type { Platform } from '../platform.ts'
import { datasets } from './archive.ts'
import { nodeDecodePool } from './decode-pool.ts'
import { nodeFiles } from './files.ts'
import { createGpu, waitFor } from './gpu.ts'
import { encodePng } from './png.ts'
import { log, onInterrupt, terminalStatus } from './terminal.ts'

/**
 * Node as a platform. Nothing starts before it is asked for: Dawn with the first `gpu()`, threads with the first image.
 *
 * @param options.threads  decoding threads; 0 decodes in place. Default: one fewer than processors, at most 16
 */
export function createNodePlatform(options: { threads?: number } = {}): Platform {
  let gpu: GPU | undefined
  return {
    name: 'node',
    gpu: () => (gpu ??= createGpu()),
    files: nodeFiles,
    decoder: nodeDecodePool(options.threads),
    datasets,
    encodePng,
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
