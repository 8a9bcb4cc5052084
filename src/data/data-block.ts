import { requireInteger, requireRange } from '../base/check.ts'
import { DataError, OptionError } from '../base/errors.ts'
import { formatShape } from '../base/format.ts'
import { rng } from '../base/rng.ts'
import {
  checkArgument,
  checkOptions,
  FUNCTION,
  listOf,
  NUMBER,
  objectWith,
  TEXT,
  type Kind,
  type Kinds,
} from '../base/options.ts'
import { currentGpu } from '../gpu/device.ts'
import type { Platform } from '../platform/platform.ts'
import type { NormalizeByBatchTransform } from './augment/normalize.ts'
import type { BatchTransform } from './augment/transforms.ts'
import { categorizer, sameSpelling, vocabText, type CategoryBlock, type ImageBlock } from './blocks.ts'
import { checkFiles } from './check-files.ts'
import { printClassCounts, requireClasses } from './class-counts.ts'
import { sortItemTransforms, type ItemTransform } from './item-transforms.ts'
import { Loader } from './loader.ts'
import { Loaders } from './loaders.ts'
import { Pictures } from './pictures.ts'
import { cacheBudget, PixelCache } from './pixel-cache.ts'
import { randomSplitter, type Split, type Splitter } from './splitters.ts'
import { withBatchStats } from './statistics.ts'
import { ITEM_WEIGHTS, itemWeightsOf, type ItemWeights } from './weights.ts'

/** The seed of a run that names none; `randomSplitter` has the same. */
const DEFAULT_SEED = 42

/** The five questions that a data set answers. */
export interface DataBlockOptions {
  /** Blocks that say what the items and what the targets are, in this order. */
  readonly blocks: readonly [ImageBlock, CategoryBlock]
  /** Which items are there? Such as `getImageFiles`. */
  readonly getItems: (
    path: string,
    options: { readonly platform: Platform },
  ) => readonly string[] | Promise<readonly string[]>
  /** Function that returns the label of an item, such as `parentLabel`. */
  readonly getY: (item: string) => string
  /** Which items are measured on? Default: a random fifth, chosen by the seed of the loaders */
  readonly splitter?: Splitter
  /** Transforms of each image on the CPU, such as `[resize(224)]`. Default none, for images that all have one size */
  readonly itemTransforms?: readonly ItemTransform[]
  /** Transforms of each batch on the GPU, such as `[...augTransforms({ size: 128 }), normalize(imagenetStats)]`. Default none */
  readonly batchTransforms?: readonly (BatchTransform | NormalizeByBatchTransform)[]
}

export interface LoadersOptions {
  /** Items of a batch, in training and in validation. Default 64 */
  readonly batchSize?: number
  /** Seed of the split, the order and every random transform. Default: the setting `SEED`, or 42 without it */
  readonly seed?: number
  /** Use that many items, chosen at random. Default: all */
  readonly limit?: number
  /**
   * Draw training items by weight, with replacement, as fastai's WeightedDL does: 'balanced' for all classes equally often,
   * or a function of an item and its label. An epoch stays as long as it is. Default: every item once
   */
  readonly itemWeights?: ItemWeights
  /** Memory for decoded pictures. Default: a quarter of what is free on the machine */
  readonly cacheBytes?: number
  /**
   * GPU memory for images of finished size, which are then sent to it once and not in every epoch. Default: 1 GiB, 0 on a
   * software adapter
   */
  readonly gpuCacheBytes?: number
  /** Decoded pictures shared with other loaders, instead of `cacheBytes` and `gpuCacheBytes`. */
  readonly cache?: PixelCache
  /** Default: that of the open GPU. */
  readonly platform?: Platform
}

/** Check of a list of transforms. */
export const TRANSFORMS = listOf({
  expected: 'made by a function such as resize(224)',
  is: (value) => value instanceof Object && 'kind' in value,
})
const DATA_BLOCK_KINDS: Kinds<DataBlockOptions> = {
  blocks: listOf({
    expected: 'a block: ImageBlock(), CategoryBlock()',
    is: (value) => value instanceof Object && 'kind' in value,
  }),
  getItems: FUNCTION,
  getY: FUNCTION,
  splitter: FUNCTION,
  itemTransforms: TRANSFORMS,
  batchTransforms: TRANSFORMS,
}
const SPLIT: Kind = {
  expected: '{ train, valid }, numbers of items, as randomSplitter() splits them',
  is: (value) => value instanceof Object && 'train' in value && 'valid' in value,
}
/** Checks of the options of `DataBlock.loaders`. */
export const LOADERS_KINDS: Kinds<LoadersOptions> = {
  batchSize: NUMBER,
  seed: NUMBER,
  limit: NUMBER,
  itemWeights: ITEM_WEIGHTS,
  cacheBytes: NUMBER,
  gpuCacheBytes: NUMBER,
  cache: objectWith('a PixelCache'),
  platform: objectWith('a platform'),
}

/** Items, labels and the split: what a data block makes of a path. */
interface Dataset {
  readonly items: readonly string[]
  /** Numbers of classes; 0 for an item of neither side. */
  readonly labels: Uint32Array
  readonly train: Uint32Array
  readonly valid: Uint32Array
  readonly vocab: readonly string[]
}

/**
 * A recipe that turns a path into loaders: what the items are, where they come from, how they are labelled, split and
 * transformed.
 *
 * @throws OptionError  for two item transforms for the same work
 * Source: fastai data/block.py, DataBlock.
 */
export class DataBlock {
  private readonly options: DataBlockOptions
  private readonly itemTransforms: readonly ItemTransform[]

  constructor(options: DataBlockOptions) {
    checkOptions('DataBlock', options, DATA_BLOCK_KINDS)
    for (const name of ['blocks', 'getItems', 'getY'] as const) {
      checkArgument('DataBlock', name, options[name], DATA_BLOCK_KINDS[name])
    }
    this.options = options
    this.itemTransforms = sortItemTransforms(options.itemTransforms ?? [])
  }

  /**
   * Finds the items, splits and labels them, prints how many there are of each class, and makes the loaders.
   *
   * Files that do not begin as an image does are left out and named in the log, up to one in a hundred and always one;
   * images to measure on that are trained on too are named as well. See also `verifyImages`, which decodes all files.
   *
   * @param path  handed to getItems
   * @throws DataError  when there are no items, or none on one side of the split, or fewer than two labels, or a label of
   *   validation never occurs in training, or there is no batch to measure the statistics of a `normalize()` on, or an
   *   item is listed twice or is on both sides of the split, or too many files cannot be read
   * @throws OptionError  when an option is unknown or out of range, or `itemWeights` gives weights that are none
   */
  async loaders(path: string, options: LoadersOptions = {}): Promise<Loaders> {
    checkArgument('loaders', 'path', path, TEXT)
    checkOptions('loaders', options, LOADERS_KINDS)
    const platform = options.platform ?? currentGpu().platform
    const {
      batchSize = 64,
      seed = seedSetting(platform),
      cache = new PixelCache(options.cacheBytes ?? cacheBudget(platform), { gpuBytes: options.gpuCacheBytes }),
    } = options
    for (const name of ['cacheBytes', 'gpuCacheBytes'] as const) {
      if (!options.cache || options[name] === undefined) continue
      throw new OptionError('loaders', `cache and ${name} are both given`, { fix: 'give it to the PixelCache' })
    }
    requireInteger('loaders', 'seed', seed, { from: 0 })
    const { items, labels, vocab, ...split } = await this.dataset(path, platform, seed, options.limit)
    const { train, valid } = await checkFiles(platform, items, split)
    printClassCounts(platform, vocab, labels, { train, valid })
    const { itemTransforms } = this
    const pictures = new Pictures({ platform, items, cache, decoding: this.options.blocks[0].decoding })
    const { itemWeights } = options
    const weights = itemWeights && itemWeightsOf(itemWeights, { items, labels, vocab, train })
    const shared = { platform, pictures, labels, vocab, batchSize, seed, itemTransforms }
    const trainLoader = (batchTransforms: readonly BatchTransform[]) =>
      new Loader({ ...shared, batchTransforms, split: 'train', items: train, itemWeights: weights })
    const batchTransforms = await withBatchStats(this.options.batchTransforms ?? [], trainLoader)
    return new Loaders({
      train: trainLoader(batchTransforms),
      valid: new Loader({ ...shared, batchTransforms, split: 'valid', items: valid }),
      vocab,
      batchSize,
      seed,
      platform,
    })
  }

  /** Tells what happens to the first item, step by step. @returns the text, which is also logged */
  async summary(path: string, options: LoadersOptions = {}): Promise<string> {
    checkOptions('summary', options, LOADERS_KINDS)
    const platform = options.platform ?? currentGpu().platform
    const { batchSize = 64, seed = seedSetting(platform), limit } = options
    const { items, labels, train, valid, vocab } = await this.dataset(path, platform, seed, limit)
    const first = train[0]
    const picture = await platform.decoder.decode({
      path: items[first],
      decoding: this.options.blocks[0].decoding,
    })
    const lines = [
      `${items.length} items of ${path}`,
      `split: ${train.length} to train on, ${valid.length} to measure on`,
      `vocabulary: ${vocab.length} labels, ${vocabText(vocab)}`,
      `one item: ${items[first]}`,
      `  label: ${vocab[labels[first]]}, number ${labels[first]}`,
      `  decoded: ${picture.width} × ${picture.height} pixels`,
    ]
    let [height, width] = [picture.height, picture.width]
    for (const transform of this.itemTransforms) {
      if (transform.order === 1) ({ height, width } = transform)
      const how =
        transform.kind === 'resize'
          ? ` (${transform.method})`
          : transform.kind === 'flipItem'
            ? ` (p = ${transform.p})`
            : ''
      lines.push(`  ${transform.kind}${how}: ${width} × ${height} pixels`)
    }
    lines.push(
      `a batch: ${batchSize} such pictures, ${formatShape({ shape: [batchSize, height, width], dtype: 'u32' })}, one RGBA pixel each`,
    )
    for (const transform of [...(this.options.batchTransforms ?? [])].sort((a, b) => a.order - b.order)) {
      const size = 'size' in transform ? transform.size : undefined
      if (size) [height, width] = size
      lines.push(`  ${transform.kind}: ${formatShape([batchSize, height, width, 3])}`)
    }
    lines.push(`the network's input: ${formatShape([batchSize, height, width, 3])}, f32 or f16`)
    const text = lines.join('\n')
    for (const line of lines) platform.log(line)
    return text
  }

  private async dataset(path: string, platform: Platform, seed: number, limit: number | undefined): Promise<Dataset> {
    const { getItems, getY, blocks, splitter = randomSplitter({ seed }) } = this.options
    const all = await getItems(path, { platform })
    if (all.length === 0) throw new DataError(path, 'there are no items')
    const items = limited(all, limit, seed)
    requireOnce(path, items)
    const split = splitter(items)
    checkArgument('splitter', 'the split', split, SPLIT)
    const { train, valid } = checkSplit(split, items)
    const used = [...train, ...valid]
    const labelNames: string[] = []
    for (const item of used) labelNames[item] = checkedLabel(items[item], getY(items[item]))
    const vocab = blocks[1].vocab?.map(sameSpelling) ?? vocabOf(Array.from(train, (item) => labelNames[item]))
    const numberOf = categorizer(vocab, 'use another split or more items, or give the labels: CategoryBlock({ vocab })')
    const labels = new Uint32Array(items.length)
    for (const item of used) labels[item] = numberOf(items[item], labelNames[item])
    return { items, labels, train, valid, vocab }
  }
}

function requireOnce(path: string, items: readonly string[]): void {
  const seen = new Set<string>()
  const twice = items.find((item) => seen.size === seen.add(item).size)
  if (twice === undefined) return
  throw new DataError(path, 'an item is listed twice, so that it could be trained and measured on', {
    given: { item: twice, items: items.length },
    fix: 'see what getItems gives',
  })
}

/** @throws DataError  when a side of the split is empty, or names something else than each item once */
function checkSplit(split: Split, items: readonly string[]): Split {
  const sideOf = new Map<number, 'train' | 'valid'>()
  for (const side of ['train', 'valid'] as const) {
    if (split[side].length === 0) {
      throw new DataError('splitter', `no item is left to ${side === 'train' ? 'train' : 'measure'} on`, {
        given: { items: items.length },
        expected: 'at least one on either side',
      })
    }
    for (const index of split[side]) {
      if (!(index < items.length)) {
        throw new DataError('splitter', 'there is no such item', {
          given: { [side]: index, items: items.length },
          expected: 'numbers of items, from 0 on',
        })
      }
      const other = sideOf.get(index)
      if (other !== undefined) {
        throw new DataError(
          'splitter',
          other === side ? `an item is twice among those of '${side}'` : 'an item is on both sides of the split',
          {
            given: { index, item: items[index] },
            expected: 'each item at most once, to train on or to measure on',
          },
        )
      }
      sideOf.set(index, side)
    }
  }
  return split
}

function checkedLabel(item: string, label: unknown): string {
  if (typeof label === 'string' && label !== '') return sameSpelling(label)
  throw new DataError(item, 'getY gives it no label', { given: { label }, expected: 'a text' })
}

/** The labels that occur, in their order. */
function vocabOf(labels: readonly string[]): string[] {
  const vocab = [...new Set(labels)].sort()
  requireClasses(vocab)
  if (vocab.length > 1) return vocab
  throw new DataError('data set', 'all training items have one label, so that there is nothing to learn', {
    given: { label: vocab[0], items: labels.length },
    fix: 'see what getY makes of an item, and whether the path is that of the folder around the class folders',
  })
}

/** A random choice of the items, in their order. */
function limited(items: readonly string[], limit: number | undefined, seed: number): readonly string[] {
  if (limit === undefined || limit >= items.length) return items
  requireInteger('loaders', 'limit', limit, { from: 1 })
  return Array.from(rng(seed, 'limit').permutation(items.length).slice(0, limit).sort(), (item) => items[item])
}

/** Returns the setting SEED, or the default seed without it. @throws OptionError  if it is not a whole number */
export function seedSetting(platform: Platform): number {
  const text = platform.env('SEED')
  if (text === undefined) return DEFAULT_SEED
  const seed = Number(text)
  requireRange('setting', { SEED: text }, Number.isInteger(seed) && seed >= 0, 'a whole number from 0 on')
  return seed
}
