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

  constructor(parts: { train: Loader; valid: Loader; vocab: readonly string[]; batchSize: number; seed: number; platform: Platform }) {
    this.train = parts.train
    this.valid = parts.valid
    this.vocab = parts.vocab
    this.batchSize = parts.batchSize
    this.seed = parts.seed
    this.platform = parts.platform
  }

  /** The first training batch; good until its `release`. */
  oneBatch(): Promise<Batch & { release(): void }> {
    return this.train.oneBatch()
  }
}
