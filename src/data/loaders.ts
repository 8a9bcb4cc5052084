import { DataError } from '../base/errors.ts'
import { currentGpu } from '../gpu/device.ts'
import type { Platform } from '../platform/platform.ts'
import type { Batch } from './batch.ts'
import type { Loader } from './loader.ts'

/** The loaders of one data set: what to train on and what to measure on. */
export class Loaders {
  readonly train: Loader
  readonly valid: Loader
  /** The labels by their number. */
  readonly vocab: readonly string[]
  readonly batchSize: number
  readonly seed: number
  readonly platform: Platform

  constructor(parts: Pick<Loaders, 'train' | 'valid' | 'vocab' | 'batchSize' | 'seed' | 'platform'>) {
    this.train = parts.train
    this.valid = parts.valid
    this.vocab = parts.vocab
    this.batchSize = parts.batchSize
    this.seed = parts.seed
    this.platform = parts.platform
  }

  /** [N,h,w,3] of the network's input, as the first training batch has it. */
  async inputShape(): Promise<readonly number[]> {
    for await (const { host } of this.train.hostBatches({ dropLast: false })) {
      const { P, Q } = this.train.pipeline.plan({ N: host.items.length, H: host.height, W: host.width }, 'train')
      return [host.items.length, P, Q, 3]
    }
    throw new DataError('loaders', 'there are no training items')
  }

  /** Gives GPU memory that nobody uses back to the driver: when sizes change, buffers of the old ones would stay. */
  freeMemory(): void {
    currentGpu().buffers.trim()
  }

  /** The first training batch; good until its `release`. */
  oneBatch(): Promise<Batch & { release(): void }> {
    return this.train.oneBatch()
  }
}
