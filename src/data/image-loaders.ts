import { OptionError } from '../base/errors.ts'
import {
  ANY,
  checkArgument,
  checkOptions,
  FUNCTION,
  listOf,
  NUMBER,
  objectWith,
  oneOf,
  PATH,
  TEXT,
  type Kinds,
} from '../base/options.ts'
import { currentGpu } from '../gpu/device.ts'
import type { Platform } from '../platform/platform.ts'
import {
  blockFor,
  CategoryBlock,
  ImageBlock,
  MultiCategoryBlock,
  numbersBlock,
  TARGET_BLOCK,
  type TargetBlock,
} from './blocks.ts'
import { DataBlock, LOADERS_KINDS, TRANSFORMS, type DataBlockOptions, type LoadersOptions } from './data-block.ts'
import { columnSplitter, DELIMITER, getImagesFromCsv, type ImageTable } from './image-table.ts'
import { getImageFiles, parentLabel } from './items.ts'
import type { Loaders } from './loaders.ts'
import { seedSetting } from './seed.ts'
import { grandparentSplitter, randomSplitter, type Splitter } from './splitters.ts'

/** Options of all functions of `ImageLoaders`: those of `DataBlock.loaders`, and the parts of the data block. */
export interface ImageLoadersOptions extends LoadersOptions {
  /** Transforms of each image on the CPU, such as `[resize(224)]`. Default none */
  readonly itemTransforms?: DataBlockOptions['itemTransforms']
  /** Transforms of each batch on the GPU, such as `augTransforms({ size: 128 })`. Default none */
  readonly batchTransforms?: DataBlockOptions['batchTransforms']
  /** Share of the images to measure on, chosen at random. Default 0.2, unless something else divides them */
  readonly validPercent?: number
  /** Classes, or labels, in their order. Default: those of the training images, sorted */
  readonly vocab?: readonly string[]
  /**
   * Block of the targets, such as `RegressionBlock()`. Default: what the labels look like, a text for a `CategoryBlock`, a list
   * of texts for a `MultiCategoryBlock`, a number or a list of numbers for a `RegressionBlock`
   */
  readonly targetBlock?: TargetBlock
  /** Block of the images, such as `ImageBlock({ channels: 1 })`. Default `ImageBlock()` */
  readonly imageBlock?: ImageBlock
}

/** Options of `ImageLoaders.fromFolder`. */
export interface FromFolderOptions extends ImageLoadersOptions {
  /** Folder of the images to train on. Default 'train' */
  readonly train?: string
  /** Folder of the images to measure on. Default 'valid' */
  readonly valid?: string
}

/** Options of `ImageLoaders.fromCsv`. */
export interface FromCsvOptions extends ImageLoadersOptions {
  /** Name of the table in the folder. Default 'labels.csv' */
  readonly file?: string
  /** Column of the images' paths, relative to the folder. Default: the first */
  readonly pathColumn?: string
  /** Column of the labels, or several columns of numbers for a `RegressionBlock`. Default: the second */
  readonly labelColumn?: string | readonly string[]
  /** Separator of the labels of one image in the table, such as ' ', for a `MultiCategoryBlock`. Default: each image has one label */
  readonly labelDelim?: string
  /** Column that says True of images to measure on, in place of `validPercent`. Default none */
  readonly validColumn?: string
}

const COMMON: Kinds<ImageLoadersOptions> = {
  ...LOADERS_KINDS,
  itemTransforms: TRANSFORMS,
  batchTransforms: TRANSFORMS,
  validPercent: NUMBER,
  vocab: listOf(TEXT),
  targetBlock: TARGET_BLOCK,
  imageBlock: objectWith('ImageBlock()'),
}

/**
 * Loaders of images in one line, for the usual layouts of a data set; a `DataBlock` describes any other.
 *
 *   const loaders = await ImageLoaders.fromFolder('photographs', { validPercent: 0.2, itemTransforms: [resize(128)] })
 *
 * Source: fastai vision/data.py, ImageDataLoaders.
 */
export const ImageLoaders = {
  /**
   * Makes loaders of class folders: below `train` and `valid`, or with `validPercent` of all images below the path.
   *
   * @throws OptionError  if `validPercent` comes with `train` or `valid`, and as `DataBlock.loaders`
   * @throws DataError  as `getImageFiles`, `grandparentSplitter` and `DataBlock.loaders`
   */
  async fromFolder(path: string, options: FromFolderOptions = {}): Promise<Loaders> {
    checkOptions<FromFolderOptions>('fromFolder', options, { ...COMMON, train: PATH, valid: PATH })
    const { train, valid, ...others } = options
    if (others.validPercent === undefined) {
      const folders = { train: train ?? 'train', valid: valid ?? 'valid' }
      const getItems: DataBlockOptions['getItems'] = (top, { platform }) =>
        getImageFiles(top, { folders: [folders.train, folders.valid], platform })
      return loadersOf(path, others, { getItems, getY: parentLabel, splitter: grandparentSplitter(folders) })
    }
    if (train !== undefined || valid !== undefined) {
      throw new OptionError('fromFolder', 'validPercent and folders are both given', {
        given: {
          validPercent: others.validPercent,
          ...(train !== undefined && { train }),
          ...(valid !== undefined && { valid }),
        },
        expected: 'one way to choose what is measured on',
      })
    }
    return loadersOf(path, others, { getItems: imagesBelow, getY: parentLabel })
  },

  /**
   * Makes loaders of all images below a path, whose labels a function reads off the names of the files, without folders.
   *
   *   ImageLoaders.fromNameFunction('pets/images', (name) => (/^[A-Z]/.test(name) ? 'cat' : 'dog'))
   */
  async fromNameFunction(
    path: string,
    labelOf: (name: string) => unknown,
    options: ImageLoadersOptions = {},
  ): Promise<Loaders> {
    checkArgument('fromNameFunction', 'labelOf', labelOf, FUNCTION)
    checkOptions('fromNameFunction', options, COMMON)
    const getY = (item: string) => labelOf(item.split(/[/\\]/).at(-1) ?? item)
    return loadersOf(path, options, { getItems: imagesBelow, getY })
  },

  /**
   * Makes loaders of the images that a table of comma-separated values lists.
   *
   * @param folder  of the table and of the images
   *   ImageLoaders.fromCsv('planet', { file: 'train.csv', labelColumn: 'tags', labelDelim: ' ' })
   *
   * @throws OptionError  if `labelDelim` comes with several columns, and as `DataBlock.loaders`
   * @throws DataError  as `getImagesFromCsv`, `columnSplitter` and `DataBlock.loaders`
   */
  async fromCsv(folder: string, options: FromCsvOptions = {}): Promise<Loaders> {
    const columns = {
      file: PATH,
      pathColumn: TEXT,
      labelColumn: oneOf(TEXT, listOf(TEXT)),
      labelDelim: DELIMITER,
      validColumn: TEXT,
    }
    checkOptions<FromCsvOptions>('fromCsv', options, { ...COMMON, ...columns })
    const { file = 'labels.csv', pathColumn = 0, labelColumn = 1, labelDelim, validColumn, ...others } = options
    if (validColumn !== undefined && others.validPercent !== undefined) {
      throw new OptionError('fromCsv', 'validPercent and validColumn are both given', {
        given: { validPercent: others.validPercent, validColumn },
        expected: 'one way to choose what is measured on',
      })
    }
    const table = await getImagesFromCsv(folder, { file, pathColumn, platform: platformOf(options) })
    const { vocab } = others
    const block =
      typeof labelColumn === 'object'
        ? numbersBlock(vocab, { names: labelColumn })
        : labelDelim === undefined
          ? CategoryBlock(vocab && { vocab })
          : MultiCategoryBlock(vocab && { vocab })
    return loadersOf(folder, others, {
      getItems: () => table.items,
      getY: labelsIn(table, labelColumn, labelDelim),
      block,
      ...(validColumn !== undefined && { splitter: columnSplitter(table, validColumn) }),
    })
  },

  /**
   * Makes loaders of image files and their labels, in the same order: texts, lists of texts, numbers, or lists of numbers.
   *
   * @param path   folder that the files are relative to; '' for paths as they are
   * @throws OptionError  if there are not as many labels as files
   */
  async fromLists(
    path: string,
    files: readonly string[],
    labels: readonly unknown[],
    options: ImageLoadersOptions = {},
  ): Promise<Loaders> {
    checkArgument('fromLists', 'files', files, listOf(TEXT))
    checkArgument('fromLists', 'labels', labels, listOf(ANY))
    checkOptions('fromLists', options, COMMON)
    if (files.length !== labels.length) {
      throw new OptionError('fromLists', 'there are not as many labels as files', {
        given: { files: files.length, labels: labels.length },
        expected: 'one for each, in their order',
      })
    }
    const { join } = platformOf(options).files
    const items = files.map((file) => (path === '' ? file : join(path, file)))
    const labelOf = new Map(items.map((item, i) => [item, labels[i]]))
    return loadersOf(path, options, { getItems: () => items, getY: (item) => labelOf.get(item) })
  },
}

/** Function that looks up the label of an image in a table. */
function labelsIn(
  table: ImageTable,
  column: string | number | readonly string[],
  delimiter: string | undefined,
): (item: string) => unknown {
  if (typeof column !== 'object') {
    return delimiter === undefined ? table.column(column) : table.labels(column, delimiter)
  }
  if (delimiter !== undefined) {
    throw new OptionError('fromCsv', 'labelDelim and several columns are both given', {
      given: { labelColumn: column, labelDelim: delimiter },
      expected: 'one column of labels, or columns of numbers',
    })
  }
  const columns = column.map((name) => table.column(name))
  return (item) => columns.map((cellOf) => cellOf(item))
}

const imagesBelow: DataBlockOptions['getItems'] = (path, { platform }) => getImageFiles(path, { platform })

function platformOf({ platform }: LoadersOptions): Platform {
  return platform ?? currentGpu().platform
}

function loadersOf(
  path: string,
  { itemTransforms, batchTransforms, validPercent, vocab, targetBlock, imageBlock, ...options }: ImageLoadersOptions,
  parts: Pick<DataBlockOptions, 'getItems' | 'getY'> & { readonly splitter?: Splitter; readonly block?: TargetBlock },
): Promise<Loaders> {
  if (vocab && targetBlock) {
    throw new OptionError('ImageLoaders', 'vocab and targetBlock are both given', {
      given: { vocab },
      fix: 'give the vocabulary to the block: MultiCategoryBlock({ vocab })',
    })
  }
  const seed = options.seed ?? seedSetting(platformOf(options))
  const splitter = parts.splitter ?? (validPercent === undefined ? undefined : randomSplitter({ validPercent, seed }))
  return new DataBlock({
    blocks: [imageBlock ?? ImageBlock(), targetBlock ?? parts.block ?? blockFor(vocab)],
    getItems: parts.getItems,
    getY: parts.getY,
    ...(splitter && { splitter }),
    ...(itemTransforms && { itemTransforms }),
    ...(batchTransforms && { batchTransforms }),
  }).loaders(path, options)
}
