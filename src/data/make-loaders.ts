import { requireInteger } from '../base/check.ts'
import { DataError, OptionError } from '../base/errors.ts'
import { formatShape } from '../base/format.ts'
import { checkArgument, checkOptions, listOf, NUMBER, oneOf, TEXT, type Kind } from '../base/options.ts'
import { rng } from '../base/rng.ts'
import { currentGpu } from '../gpu/device.ts'
import { channelsOf } from '../image/decode-options.ts'
import type { Platform } from '../platform/platform.ts'
import type { NormalizeByBatchTransform } from './augment/normalize.ts'
import { toBatchTransforms, type BatchTransform } from './augment/transforms.ts'
import { checkedTarget } from './blocks.ts'
import { checkFiles } from './check-files.ts'
import { printTargets } from './class-counts.ts'
import { LOADERS_KINDS, type LoadersOptions, type PreparedOptions } from './data-block.ts'
import { Loader } from './loader.ts'
import { Loaders } from './loaders.ts'
import { Pictures } from './pictures.ts'
import { cacheBudget, PixelCache } from './pixel-cache.ts'
import { seedSetting } from './seed.ts'
import { randomSplitter, type Split, type Splitter } from './splitters.ts'
import { withBatchStats } from './statistics.ts'
import { encoded, outputsOf, rowOf, vocabText, type TargetCodec, type TargetNumbers } from './targets.ts'
import { itemWeightsOf } from './weights.ts'

const ITEMS: Kind = { ...listOf(TEXT), expected: 'a list of paths, as of getImageFiles' }
const INDICES = oneOf(listOf(NUMBER), {
  expected: 'a Uint32Array',
  is: (value) => value instanceof Uint32Array,
})
const SPLIT: Kind = {
  expected: '{ train, valid }, lists of numbers of items, as randomSplitter() splits them',
  fix: 'return it synchronously',
  is: (value) =>
    value instanceof Object && 'train' in value && 'valid' in value && [value.train, value.valid].every(INDICES.is),
}

/** Items, labels and the split: what a data block makes of a path. */
interface Dataset {
  readonly items: readonly string[]
  /** Numbers of the targets of all items; 0 for an item of neither side. */
  readonly labels: TargetNumbers
  readonly train: Uint32Array
  readonly valid: Uint32Array
  readonly target: TargetCodec
}

/** Makes what `DataBlock.loaders` returns. @throws  as that */
export async function makeLoaders(block: PreparedOptions, path: string, options: LoadersOptions): Promise<Loaders> {
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
  const { items, labels, target, ...split } = await datasetOf(block, path, platform, seed, options.limit)
  const { train, valid } = await checkFiles(platform, items, split)
  printTargets(platform, target, labels, { train, valid })
  const { itemTransforms } = block
  const pictures = new Pictures({ platform, items, cache, decoding: block.blocks[0].decoding })
  const { itemWeights } = options
  const weights = itemWeights && itemWeightsOf(itemWeights, { items, labels, target, train })
  const shared = { platform, pictures, labels, target, vocab: target.vocab, batchSize, seed, itemTransforms }
  const trainLoader = (batchTransforms: readonly BatchTransform[]) =>
    new Loader({ ...shared, batchTransforms, split: 'train', items: train, itemWeights: weights })
  const batchTransforms = await withBatchStats(batchTransformsOf(block), trainLoader)
  return new Loaders({
    train: trainLoader(batchTransforms),
    valid: new Loader({ ...shared, batchTransforms, split: 'valid', items: valid }),
    vocab: target.vocab,
    batchSize,
    seed,
    platform,
  })
}

/** Makes what `DataBlock.summary` returns. @throws  as that */
export async function summarize(block: PreparedOptions, path: string, options: LoadersOptions): Promise<string> {
  checkOptions('summary', options, LOADERS_KINDS)
  const platform = options.platform ?? currentGpu().platform
  const { batchSize = 64, seed = seedSetting(platform), limit } = options
  const { items, labels, train, valid, target } = await datasetOf(block, path, platform, seed, limit)
  const first = train[0]
  const row = rowOf(labels, target, first)
  const channels = channelsOf(block.blocks[0].decoding)
  const picture = await platform.decoder.decode({
    path: items[first],
    decoding: block.blocks[0].decoding,
  })
  const lines = [
    `${items.length} items of ${path}`,
    `split: ${train.length} to train on, ${valid.length} to measure on`,
    target.vocab.length > 0
      ? `vocabulary: ${target.vocab.length} labels, ${vocabText(target.vocab)}`
      : `targets: ${outputsOf(target)} ${outputsOf(target) === 1 ? 'number' : 'numbers'} each`,
    `one item: ${items[first]}`,
    `  label: ${target.text(row) || 'none'}, ${target.columns === 'class' ? `number ${row[0]}` : `numbers ${row.join(' ')}`}`,
    `  decoded: ${picture.width} × ${picture.height} pixels`,
  ]
  let [height, width] = [picture.height, picture.width]
  for (const transform of block.itemTransforms) {
    if ('width' in transform) ({ height, width } = transform)
    const how = transform.kind === 'resize' ? ` (${transform.method})` : 'p' in transform ? ` (p = ${transform.p})` : ''
    const name = transform.kind === 'own' ? transform.name : transform.kind
    lines.push(`  ${name}${how}: ${width} × ${height} pixels`)
  }
  lines.push(
    `a batch: ${batchSize} such images, ${formatShape({ shape: [batchSize, height, width], dtype: 'u32' })}, one RGBA pixel each`,
  )
  for (const transform of batchTransformsOf(block).toSorted((a, b) => a.order - b.order)) {
    const size = 'size' in transform ? transform.size : undefined
    if (size) [height, width] = size
    const name = transform.kind === 'own' ? transform.name : transform.kind
    lines.push(`  ${name}: ${formatShape([batchSize, height, width, channels])}`)
  }
  lines.push(`the network's input: ${formatShape([batchSize, height, width, channels])}, f32 or f16`)
  const text = lines.join('\n')
  for (const line of lines) platform.log(line)
  return text
}

function batchTransformsOf({ batchTransforms = [] }: PreparedOptions) {
  return toBatchTransforms<BatchTransform | NormalizeByBatchTransform>(batchTransforms)
}

async function datasetOf(
  block: PreparedOptions,
  path: string,
  platform: Platform,
  seed: number,
  limit: number | undefined,
): Promise<Dataset> {
  const { getItems, getY, blocks, splitter = randomSplitter({ seed }) } = block
  const all = await getItems(path, { platform })
  checkArgument('getItems', 'its result', all, ITEMS)
  if (all.length === 0) throw new DataError(path, 'there are no items', { fix: 'see what getItems gives' })
  const items = limited(all, limit, seed)
  requireOnce(path, items)
  const split = splitter(items)
  checkArgument('splitter', 'the split', split, SPLIT)
  const { train, valid } = checkSplit(split, items)
  const labelOf = new Map<number, unknown>()
  for (const item of [...train, ...valid]) labelOf.set(item, getY(items[item]))
  const target = checkedTarget(
    blocks[1],
    blocks[1].target(
      Array.from(train, (item) => labelOf.get(item)),
      Array.from(train, (item) => items[item]),
    ),
  )
  const given = Array.from(labelOf, ([item, label]) => [item, items[item], label] as const)
  const labels = encoded(target, items.length, given)
  return { items, labels, train, valid, target }
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
function checkSplit(split: ReturnType<Splitter>, items: readonly string[]): Split {
  const sideOf = new Map<number, keyof Split>()
  for (const side of ['train', 'valid'] as const) {
    if (split[side].length === 0) {
      throw new DataError('splitter', `no item is left to ${side === 'train' ? 'train' : 'measure'} on`, {
        given: { items: items.length },
        expected: 'at least one on either side',
      })
    }
    for (const index of split[side]) {
      if (!(index in items)) {
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
  return { train: Uint32Array.from(split.train), valid: Uint32Array.from(split.valid) }
}

/** A random choice of the items, in their order. */
function limited(items: readonly string[], limit: number | undefined, seed: number): readonly string[] {
  if (limit === undefined || limit >= items.length) return items
  requireInteger('loaders', 'limit', limit, { from: 1 })
  return Array.from(rng(seed, 'limit').permutation(items.length).slice(0, limit).sort(), (item) => items[item])
}
