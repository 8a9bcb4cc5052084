import { DataError, OptionError } from '../base/errors.ts'
import { ANY, checkArgument, checkOptions, listOf, TEXT } from '../base/options.ts'
import { currentGpu } from '../gpu/device.ts'
import type { Platform } from '../platform/platform.ts'
import type { Batch } from './batch.ts'
import type { Loader } from './loader.ts'
import { Pictures } from './pictures.ts'
import { cacheBudget, PixelCache } from './pixel-cache.ts'
import { encoded, outputsOf, type TargetCodec } from './targets.ts'

/** Options of `Loaders.test`. */
export interface TestLoaderOptions {
  /** The label of each file, as `getY` gives it: the name of its class. Default: not known */
  readonly labels?: readonly unknown[]
}

/** The loaders of one data set: what to train on and what to measure on. */
export class Loaders {
  readonly train: Loader
  readonly valid: Loader
  /** The labels by their number; empty for targets that are numbers. */
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

  /** Meaning of the targets. */
  get target(): TargetCodec {
    return this.train.target
  }

  /** Outputs that a model of these data needs: classes, labels, or numbers of a target. Source: fastai, dls.c */
  get outputs(): number {
    return outputsOf(this.target)
  }

  /**
   * Returns a loader of other image files, in their order, transformed, normalized and numbered as those of validation.
   * Any loader will do for `learner.getPredictions({ loader })`; for `learner.validate(loader)` it takes labels.
   *
   * Files of the data set are remembered with it; any other is read anew by every such loader, as it may have become another
   * image of the same name.
   *
   * Up to 1% of undecodable files are skipped and missing from `items`; with fewer than a hundred files the first one is
   * refused, by name.
   *
   * @param paths  files; their places are the `items` of predictions
   * @throws OptionError  when there are none, or not as many labels
   * @throws DataError  when a label is not in the vocabulary
   * Source: fastai data/core.py, test_dl.
   */
  test(paths: readonly string[], options: TestLoaderOptions = {}): Loader {
    checkArgument('test loader', 'paths', paths, listOf(TEXT))
    checkOptions('test loader', options, { labels: listOf(ANY) })
    const { labels } = options
    const { valid, target, platform } = this
    const { items, cache, decoding } = valid.pictures
    if (paths.length === 0) throw new OptionError('test loader', 'there are no files')
    if (labels && labels.length !== paths.length) {
      throw new OptionError('test loader', 'there are not as many labels as files', {
        given: { files: paths.length, labels: labels.length },
        expected: 'one for each, in their order, or none at all',
      })
    }
    const known = new Set(items)
    const own = () => new PixelCache(Math.min(cache.limitBytes, cacheBudget(platform)), { gpuBytes: 0 })
    return valid.with({
      pictures: new Pictures({
        platform,
        items: paths,
        cache: paths.every((path) => known.has(path)) ? cache : own(),
        decoding,
        tolerated: Math.floor(paths.length / 100),
      }),
      labels: encoded(
        target,
        labels?.length ?? 0,
        (labels ?? []).map((label, i) => [i, paths[i], label] as const),
      ),
      items: Uint32Array.from(paths.keys()),
    })
  }

  /** Shape of the network's input, [N,h,w,channels], as the first training batch has it. */
  async inputShape(): Promise<readonly number[]> {
    for await (const { host } of this.train.hostBatches({ dropLast: false })) {
      const { P, Q } = this.train.pipeline.plan({ N: host.items.length, H: host.height, W: host.width }, 'train')
      return [host.items.length, P, Q, this.train.channels]
    }
    throw new DataError('loaders', 'there are no training items')
  }

  /** Adapter that computes: its name, and true if it is the processor. */
  get adapter(): { readonly name: string; readonly software: boolean } {
    const { name, software } = currentGpu()
    return { name, software }
  }

  /** Returns unused GPU memory to the driver: when sizes change, buffers of the old ones would stay. */
  freeMemory(): void {
    currentGpu().trim()
  }

  /** The first training batch; good until its `release`. */
  oneBatch(): Promise<Batch & { release(): void }> {
    return this.train.oneBatch()
  }
}
