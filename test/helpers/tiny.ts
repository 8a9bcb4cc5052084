import { rng } from '../../src/base/rng.ts'
import { CategoryBlock, ImageBlock } from '../../src/data/blocks.ts'
import { DataBlock, type DataBlockOptions } from '../../src/data/data-block.ts'
import { parentLabel } from '../../src/data/items.ts'
import type { Loaders } from '../../src/data/loaders.ts'
import { ConvLayer } from '../../src/nn/conv-layer.ts'
import { Init } from '../../src/nn/init.ts'
import { Linear } from '../../src/nn/linear.ts'
import { GlobalAvgPool } from '../../src/nn/pool.ts'
import { Sequential } from '../../src/nn/sequential.ts'
import type { Pixels } from '../../src/image/pixels.ts'
import { Learner } from '../../src/train/learner.ts'
import type { LearnerOptions } from '../../src/train/learner-options.ts'
import { accuracy } from '../../src/train/fit/metrics.ts'
import { fakePlatform, type FakePlatform } from './fake-platform.ts'

export interface TinyOptions {
  readonly train?: number
  readonly valid?: number
  readonly batchSize?: number
  readonly size?: number
  readonly seed?: number
  readonly itemTransforms?: DataBlockOptions['itemTransforms']
  readonly batchTransforms?: DataBlockOptions['batchTransforms']
  readonly platform?: FakePlatform
  /** Path of an item, whose folder is its label. */
  readonly item?: (i: number) => string
}

/** Stripes: up and down, across, or slanted, which is the label; their width, place and colours differ. */
export function stripes(path: string, size: number): Pixels {
  const kinds = ['across', 'slanted', 'upright']
  const random = rng(7, path)
  const [dx, dy] = [
    [0, 1],
    [1, 1],
    [1, 0],
  ][kinds.indexOf(parentLabel(path))]
  const period = random.uniform(3, 6)
  const phase = random.uniform(0, 6)
  const colours = Array.from({ length: 6 }, () => random.uniform(0, 255))
  const data = new Uint8Array(size * size * 4).fill(255)
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const share = 0.5 + 0.5 * Math.sin((2 * Math.PI * (x * dx + y * dy + phase)) / period)
      for (let c = 0; c < 3; c++) data[(y * size + x) * 4 + c] = colours[c] * share + colours[c + 3] * (1 - share)
    }
  }
  return { width: size, height: size, data }
}

/** Loaders of a few pictures of stripes in three classes, the first `train` of them to train on. */
export async function tinyLoaders(options: TinyOptions = {}): Promise<Loaders & { readonly platform: FakePlatform }> {
  const {
    train = 8,
    valid = 6,
    batchSize = 4,
    size = 16,
    seed = 1,
    itemTransforms = [],
    batchTransforms = [],
  } = options
  const platform = options.platform ?? fakePlatform({ picture: (path) => stripes(path, size) })
  const { item = (i: number) => `set/${['across', 'slanted', 'upright'][i % 3]}/${i}.png` } = options
  const items = Array.from({ length: train + valid }, (_, i) => item(i))
  const block = new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: () => items,
    getY: parentLabel,
    splitter: () => ({
      train: Uint32Array.from({ length: train }, (_, i) => i),
      valid: Uint32Array.from({ length: valid }, (_, i) => train + i),
    }),
    itemTransforms,
    batchTransforms,
  })
  const loaders = await block.loaders('set', { batchSize, seed, platform })
  // What they print is for their own tests.
  platform.lines.length = 0
  return loaders as Loaders & { readonly platform: FakePlatform }
}

/** Two convolutions and a linear layer. */
export function tinyModel(options: { outputs?: number; seed?: number } = {}): Sequential {
  const { outputs = 3, seed = 0 } = options
  const init = new Init(seed)
  return new Sequential([
    new ConvLayer({ inChannels: 3, outChannels: 8, stride: 2, init }),
    new ConvLayer({ inChannels: 8, outChannels: 16, stride: 2, init }),
    new GlobalAvgPool(),
    new Linear(16, outputs, init),
  ])
}

/** A learner of that model on those pictures. */
export async function tinyLearner(options: LearnerOptions = {}, data: TinyOptions = {}) {
  const loaders = await tinyLoaders(data)
  const learner = new Learner(loaders, tinyModel(), { metrics: [accuracy], ...options })
  return { learner, loaders, lines: loaders.platform.lines }
}
