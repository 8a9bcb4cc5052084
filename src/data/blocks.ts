import { DataError, OptionError } from '../base/errors.ts'
import { checkArgument, checkOptions, FLAG, listOf, NUMBER, objectWith, TEXT } from '../base/options.ts'
import { requireInteger } from '../base/check.ts'
import { toDecoding, type DecodeOptions, type Decoding } from '../image/decode-options.ts'
import { requireClasses } from './require-classes.ts'
import {
  categoryTarget,
  multiCategoryTarget,
  NOT_AVAILABLE,
  regressionTarget,
  requireLabels,
  requireText,
  sameSpelling,
  type TargetCodec,
} from './targets.ts'

/** Items that are images. */
export interface ImageBlock {
  readonly kind: 'image'
  readonly decoding: Decoding
}

/**
 * Items that are image files, decoded to 8-bit RGB, or with `channels: 1` to grey.
 *
 * Images are turned as the orientation in their metadata says, as every viewer does. fastai does not do that: its pixels are
 * those of `ImageBlock({ orientation: 'ignore' })`. The options stand in checkpoints and exported models, which predict
 * with the same.
 *
 * @throws OptionError  for an option or a value that does not exist
 */
export function ImageBlock(options: DecodeOptions = {}): ImageBlock {
  return { kind: 'image', decoding: toDecoding('ImageBlock', options) }
}

/**
 * Block of targets: makes their meaning of the labels of a data set. Any object like this is one: a program may bring its own
 * (see `TargetCodec`).
 */
export interface TargetBlock {
  readonly kind: string
  /**
   * Makes the target of a data set.
   *
   * @param labels  what `getY` returns for the training items, in their order
   * @throws DataError  if they cannot be labels
   */
  target(labels: readonly unknown[], items: readonly string[]): TargetCodec
}

/** Options of `CategoryBlock`. */
export interface CategoryBlockOptions {
  /** The classes in their order. Default: the labels of the training items */
  readonly vocab?: readonly string[]
  /** Sort the labels of the training items; otherwise they are in the order in which they come. Default true */
  readonly sort?: boolean
  /** A first class `#na#` for labels that the training items do not have, which are otherwise refused. Default false */
  readonly addNa?: boolean
}

/** Options of `MultiCategoryBlock`. */
export interface MultiCategoryBlockOptions {
  /** The labels in their order. Default: those of the training items, sorted */
  readonly vocab?: readonly string[]
  /** A first label `#na#` for those that the training items do not have, which are otherwise refused. Default false */
  readonly addNa?: boolean
  /** `getY` returns a 0 or 1 per label of the `vocab`, which must be given, in place of a list of labels. Default false */
  readonly encoded?: boolean
}

/** Options of `RegressionBlock`. */
export interface RegressionBlockOptions {
  /** Numbers of each target. Default: as many as the first training item has */
  readonly columns?: number
  /** Names of the numbers, which predictions and captions have before each: `['x', 'y']`. Default none */
  readonly names?: readonly string[]
}

/**
 * Targets that are one class each, numbered by the place in the vocabulary; `getY` returns a text.
 *
 * @throws OptionError when the vocabulary has a class twice
 * Source: fastai data/block.py, CategoryBlock.
 */
export function CategoryBlock(options: CategoryBlockOptions = {}): TargetBlock {
  checkOptions('CategoryBlock', options, { vocab: listOf(TEXT), sort: FLAG, addNa: FLAG })
  const { vocab, sort = true, addNa = false } = options
  requireDistinct('CategoryBlock', vocab)
  return {
    kind: 'category',
    target(labels, items) {
      const found =
        vocab ??
        classesOf(
          labels.map((label, i) => requireText(items[i], label)),
          sort,
        )
      return categoryTarget(complete(found, addNa), { addNa })
    },
  }
}

/**
 * Targets that are any number of labels each, or none: a row of 0 and 1. `getY` returns a list of texts.
 *
 *   new DataBlock({ blocks: [ImageBlock(), MultiCategoryBlock()], getY: table.labels('tags', ' '), … })
 *
 * A `Learner` of such loaders trains with `binaryCrossEntropy`; its predictions have `labels`.
 *
 * @throws OptionError  when the vocabulary has a label twice, or `encoded` comes without one
 * Source: fastai data/block.py, MultiCategoryBlock.
 */
export function MultiCategoryBlock(options: MultiCategoryBlockOptions = {}): TargetBlock {
  checkOptions('MultiCategoryBlock', options, { vocab: listOf(TEXT), addNa: FLAG, encoded: FLAG })
  const { vocab, addNa = false, encoded = false } = options
  requireDistinct('MultiCategoryBlock', vocab)
  if (encoded && !vocab) {
    throw new OptionError('MultiCategoryBlock', 'encoded labels have no names', {
      given: { encoded },
      fix: 'give them: { encoded: true, vocab }',
    })
  }
  return {
    kind: 'multiCategory',
    target(labels, items) {
      const found = vocab ?? sorted(labels.flatMap((each, i) => requireLabels(items[i], each)))
      if (found.length > 0) return multiCategoryTarget(complete(found, addNa), { addNa, encoded })
      throw new DataError('data set', 'no training item has a label, so that there is nothing to learn', {
        given: { items: labels.length },
        fix: 'see what getY makes of an item',
      })
    },
  }
}

/**
 * Targets that are one number each, or several; `getY` returns a number, the text of one, or a list of them.
 *
 * A `Learner` of such loaders trains with `mseLoss`; its predictions have `values`.
 *
 * @throws OptionError  if columns is not a positive integer, there are more or fewer names, or two alike
 * Source: fastai data/block.py, RegressionBlock.
 */
export function RegressionBlock(options: RegressionBlockOptions = {}): TargetBlock {
  checkOptions('RegressionBlock', options, { columns: NUMBER, names: listOf(TEXT) })
  const { names, columns = names?.length } = options
  if (names && names.length !== columns) {
    throw new OptionError('RegressionBlock', 'there is not one name for each number', { given: { columns, names } })
  }
  if (columns !== undefined) requireInteger('RegressionBlock', 'columns', columns, { from: 1 })
  requireDistinct('RegressionBlock', names, 'a number')
  return {
    kind: 'regression',
    target([first]) {
      const isList = Array.isArray(first) || ArrayBuffer.isView(first)
      return regressionTarget(columns ?? (isList ? Math.max(1, (first as ArrayLike<number>).length) : 1), names)
    },
  }
}

/** Targets that are numbers. @throws OptionError  if there is a vocabulary, which they do not have */
export function numbersBlock(vocab: readonly string[] | undefined, options: RegressionBlockOptions = {}): TargetBlock {
  if (!vocab) return RegressionBlock(options)
  throw new OptionError('ImageLoaders', 'a vocabulary names classes or labels, and the targets are numbers', {
    given: { vocab },
    fix: 'give the name of its class to each image, vocab[number], or leave the vocabulary out',
  })
}

/** Targets as their labels look: numbers, lists of labels, or one label each. Source: fastai vision/data.py, from_lists. */
export function blockFor(vocab: readonly string[] | undefined): TargetBlock {
  const options = vocab && { vocab }
  return {
    kind: 'any',
    target(labels, items) {
      const [first] = labels
      const isList = Array.isArray(first)
      const isNumber = (value: unknown) => typeof value === 'number'
      const block =
        isNumber(first) || (isList && first.length > 0 && first.every(isNumber))
          ? numbersBlock(vocab)
          : isList
            ? MultiCategoryBlock(options)
            : CategoryBlock(options)
      return block.target(labels, items)
    },
  }
}

/** Check of a block of targets. */
export const TARGET_BLOCK = objectWith('a block: CategoryBlock(), MultiCategoryBlock(), RegressionBlock()', 'target')

/** @throws OptionError  when a block of one's own makes something else than a target */
export function checkedTarget({ kind }: TargetBlock, target: TargetCodec): TargetCodec {
  checkArgument(`block ${kind}`, 'its target', target, objectWith('a target', 'encode', 'decode', 'text'))
  const { columns } = target
  if (columns !== 'class') requireInteger(`block ${kind}`, 'columns', columns, { from: 1 })
  return target
}

function requireDistinct(where: string, vocab: readonly string[] | undefined, what = 'a class'): void {
  const seen = new Set<string>()
  const twice = vocab?.find((label) => seen.size === seen.add(sameSpelling(label)).size)
  if (twice === undefined) return
  throw new OptionError(where, `${what} is there twice`, { given: { vocab, twice } })
}

function sorted(labels: readonly string[]): string[] {
  return [...new Set(labels)].sort()
}

/** The labels that occur, in their order. @throws DataError  if there is nothing to tell apart, or they are values */
function classesOf(labels: readonly string[], sort: boolean): readonly string[] {
  const vocab = sort ? sorted(labels) : [...new Set(labels)]
  requireClasses(vocab)
  if (vocab.length > 1) return vocab
  throw new DataError('data set', 'all training items have one label, so that there is nothing to learn', {
    given: { label: vocab[0], items: labels.length },
    fix: 'see what getY makes of an item, and whether the path is that of the folder around the class folders',
  })
}

function complete(vocab: readonly string[], addNa: boolean): readonly string[] {
  return [...(addNa ? [NOT_AVAILABLE] : []), ...vocab.map(sameSpelling)]
}
