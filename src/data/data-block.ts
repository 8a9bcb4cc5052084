import { checkArgument, checkOptions, FUNCTION, listOf, NUMBER, objectWith, type Kinds } from '../base/options.ts'
import type { Platform } from '../platform/platform.ts'
import type { NormalizeByBatchTransform } from './augment/normalize.ts'
import type { GivenBatchTransform } from './augment/transforms.ts'
import { TARGET_BLOCK, type ImageBlock, type TargetBlock } from './blocks.ts'
import { sortItemTransforms, type GivenItemTransform, type ItemTransform } from './item-transforms.ts'
import type { Loaders } from './loaders.ts'
import type { PixelCache } from './pixel-cache.ts'
import type { Splitter } from './splitters.ts'
import { ITEM_WEIGHTS, type ItemWeights } from './item-weights.ts'

/** The five questions that a data set answers. */
export interface DataBlockOptions {
  /** Blocks that say what the items and what the targets are, in this order. */
  readonly blocks: readonly [ImageBlock, TargetBlock]
  /** Which items are there? Such as `getImageFiles`. */
  readonly getItems: (
    path: string,
    options: { readonly platform: Platform },
  ) => readonly string[] | Promise<readonly string[]>
  /**
   * Function that returns the label of an item, such as `parentLabel`: a text for a `CategoryBlock`, a list of texts for a
   * `MultiCategoryBlock`, a number or a list of them for a `RegressionBlock`.
   */
  readonly getY: (item: string) => unknown
  /** Which items are measured on? Default: a random fifth, chosen by the seed of the loaders */
  readonly splitter?: Splitter
  /**
   * Transforms of each image on the CPU, such as `[resize(224)]`, and functions of your own. Default none, for images that
   * all have one size
   */
  readonly itemTransforms?: readonly GivenItemTransform[]
  /**
   * Transforms of each batch on the GPU, such as `[...augTransforms({ size: 128 }), normalize(imagenetStats)]`, and
   * functions of your own. Default none
   */
  readonly batchTransforms?: readonly (GivenBatchTransform | NormalizeByBatchTransform)[]
}

/** Options of a data block with the item transforms in the order of their work. */
export interface PreparedOptions extends DataBlockOptions {
  readonly itemTransforms: readonly ItemTransform[]
}

/** Options of `DataBlock.loaders`. */
export interface LoadersOptions {
  /** Items of a batch, in training and in validation. Default 64 */
  readonly batchSize?: number
  /** Seed of the split, the order and every random transform. Default: the setting `SEED`, or 42 without it */
  readonly seed?: number
  /** Use that many items, chosen at random; classes that none of them has are not in the vocabulary. Default: all */
  readonly limit?: number
  /**
   * Draw training items by weight, with replacement, as fastai's WeightedDL does: 'balanced' for all classes equally often,
   * or a function of an item and its label. An epoch stays as long as it is. Default: every item once
   */
  readonly itemWeights?: ItemWeights
  /** Memory for decoded images. Default: a quarter of what is free on the machine */
  readonly cacheBytes?: number
  /**
   * GPU memory for images of finished size, which are then sent to it once and not in every epoch. Default: 1 GiB, 0 on a
   * software adapter
   */
  readonly gpuCacheBytes?: number
  /** Decoded images shared with other loaders, instead of `cacheBytes` and `gpuCacheBytes`. */
  readonly cache?: PixelCache
  /** Default: that of the open GPU. */
  readonly platform?: Platform
}

/**
 * Check of a list of transforms, which may be functions, except those that make transforms and were not called. Those of
 * one's own are checked where they are used.
 */
export const TRANSFORMS = listOf({
  expected:
    'made by a function such as resize(224), or of your own: a function under another name than those, or { name, runsOn, apply, … }',
  is: (value) =>
    typeof value === 'function'
      ? !MAKERS.includes(value.name)
      : value instanceof Object && ('kind' in value || 'apply' in value || 'name' in value),
})

/**
 * Names of functions that make transforms: passed without being called, they would be taken for transforms. By name, so
 * that a page holds only those that it uses.
 */
const MAKERS: readonly string[] = [
  ...['resize', 'randomResizedCrop', 'randomCrop', 'cropPad', 'flipItem', 'dihedralItem', 'trivialAugment'],
  ...['randAugment', 'normalize', 'augTransforms', 'randomResizedCropGpu', 'randomErasing', 'hue', 'saturation'],
  ...['flip', 'dihedral', 'rotate', 'zoom', 'warp', 'brightness', 'contrast'],
]
const DATA_BLOCK_KINDS: Kinds<DataBlockOptions> = {
  blocks: listOf({
    expected: 'a block: ImageBlock(), CategoryBlock()',
    is: (value) => value instanceof Object && ('decoding' in value || TARGET_BLOCK.is(value)),
  }),
  getItems: FUNCTION,
  getY: FUNCTION,
  splitter: FUNCTION,
  itemTransforms: TRANSFORMS,
  batchTransforms: TRANSFORMS,
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

/**
 * A recipe that turns a path into loaders: what the items are, where they come from, how they are labelled, split and
 * transformed.
 *
 * @throws OptionError  for two item transforms for the same work
 * Source: fastai data/block.py, DataBlock.
 */
export class DataBlock {
  private readonly options: PreparedOptions

  constructor(options: DataBlockOptions) {
    checkOptions('DataBlock', options, DATA_BLOCK_KINDS)
    for (const name of ['blocks', 'getItems', 'getY'] as const) {
      checkArgument('DataBlock', name, options[name], DATA_BLOCK_KINDS[name])
    }
    this.options = {
      ...options,
      itemTransforms: sortItemTransforms(options.itemTransforms ?? []),
    }
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
    // Loaded with the first data: a page that waits for a visitor's images is open before that.
    const { makeLoaders } = await import('./make-loaders.ts')
    return makeLoaders(this.options, path, options)
  }

  /** Tells what happens to the first item, step by step. @returns the text, which is also logged */
  async summary(path: string, options: LoadersOptions = {}): Promise<string> {
    const { summarize } = await import('./make-loaders.ts')
    return summarize(this.options, path, options)
  }
}
