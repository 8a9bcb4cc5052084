import {
  augTransforms,
  CategoryBlock,
  columnSplitter,
  DataBlock,
  DataError,
  flipItem,
  getImageFiles,
  getImagesFromCsv,
  grandparentSplitter,
  ImageBlock,
  imagenetStats,
  nodePlatform,
  normalize,
  parentLabel,
  randomResizedCrop,
  randomSplitter,
  resize,
} from '../../src/node.ts'
import type { DataBlockOptions, Loaders, PixelCache } from '../../src/exports/data.ts'
import { NOISE, type Recipe } from './options.ts'

export interface LoadersWanted {
  readonly path: string
  readonly seed: number
  readonly cache: PixelCache
  readonly pixels: number
  /** Seed of the random split. */
  readonly split: number
}

/** Items, labels and split of the data. */
type Source = Required<Pick<DataBlockOptions, 'getItems' | 'getY' | 'splitter'>>

export async function loadersOf(recipe: Recipe, { path, seed, cache, pixels, split }: LoadersWanted): Promise<Loaders> {
  const { leaderboard, noise, batchSize, limit } = recipe
  const splitter = leaderboard ? grandparentSplitter({ valid: 'val' }) : randomSplitter({ seed: split })
  const source =
    noise === undefined ? { getItems: getImageFiles, getY: parentLabel, splitter } : await noisySource(path, noise)
  // Images chosen at random may leave a class without any to train on.
  const vocab = Number.isFinite(limit) ? [...new Set((await getImageFiles(path)).map(parentLabel))].sort() : undefined
  return new DataBlock({
    blocks: [ImageBlock(), CategoryBlock(vocab && { vocab })],
    ...source,
    itemTransforms: leaderboard ? [randomResizedCrop(pixels, { minScale: 0.35 }), flipItem()] : [resize(224)],
    batchTransforms: [...(leaderboard ? [] : augTransforms({ size: pixels, minScale: 0.5 })), normalize(imagenetStats)],
  }).loaders(path, { batchSize, seed, limit, cache })
}

/** Makes the source in which training labels come from the table's column and validation labels from the folders. */
async function noisySource(path: string, noise: NonNullable<Recipe['noise']>): Promise<Source> {
  const { files, log } = nodePlatform
  if (!(await files.exists(files.join(path, NOISE.file)))) {
    throw new DataError(path, `there is no table of wrong labels, ${NOISE.file}`, {
      fix: 'give --data the folder of the unpacked download, or leave out --noise',
    })
  }
  const table = await getImagesFromCsv(path, { file: NOISE.file })
  const [noisy, right, isValid] = [`noisy_labels_${noise}`, 'noisy_labels_0', 'is_valid'].map((name) =>
    table.column(name),
  )
  const splitter = columnSplitter(table)
  return {
    getItems: () => table.items,
    getY: (item) => (isValid(item).toLowerCase() === 'true' ? right : noisy)(item),
    splitter(items) {
      const split = splitter(items)
      const wrong = split.train.filter((item) => noisy(items[item]) !== right(items[item]))
      log(
        `labels to train on: ${wrong.length} of ${split.train.length} are wrong; ${split.valid.length} images to measure on`,
      )
      return split
    },
  }
}
