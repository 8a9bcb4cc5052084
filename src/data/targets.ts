/** Targets: numbers that a loss compares the outputs of a network with, and the labels that they stand for. */
import { DataError, OptionError } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import { placeOfLargest } from '../base/largest.ts'

/** Numbers of the targets of some items: one class each, or a row of numbers each. */
export type TargetNumbers = Uint32Array | Float32Array

/**
 * Meaning of the targets of a data set: how the label of an item, which `getY` returns, becomes numbers, and what those that a
 * network predicts say. A block makes it of the labels of the training items.
 */
export interface TargetCodec {
  /** Name of the kind, by which exported models find it again. */
  readonly kind: string
  /** Options that make it again in a program that loads an exported model. Default none */
  readonly options?: Json
  /** Names of the outputs: the classes in their order; empty where outputs have no names. */
  readonly vocab: readonly string[]
  /** Names of the numbers of a target that are quantities, where they have some. Default none */
  readonly names?: readonly string[]
  /**
   * Numbers of one target: 'class' for the number of a class (u32, for losses such as `crossEntropy`), otherwise how many
   * numbers (f32, for losses such as `mseLoss`), which are then the outputs of a model.
   */
  readonly columns: 'class' | number
  /**
   * Turns the label of an item into numbers: as many as there are columns, or the number of its class.
   *
   * @throws DataError  naming the item, if it cannot be a label
   */
  encode(item: string, label: unknown): ArrayLike<number>
  /**
   * Turns outputs of a network, after the activation of the loss, into a target: what the network says.
   *
   * @param threshold  probability above which a label counts, where several may
   */
  decode(outputs: Float32Array, threshold: number): ArrayLike<number>
  /** Text of a target, for images that are shown, tables and predictions. */
  text(target: ArrayLike<number>): string
}

/** Function that makes a target again of the options in an exported model. */
export type TargetCodecMaker = (options: Json | undefined, vocab: readonly string[]) => TargetCodec

/** Class of the labels that the training items do not have, with `addNa`. Source: fastai data/transforms.py, CategoryMap. */
export const NOT_AVAILABLE = '#na#'

/** Separator of the labels of one item in captions. Source: fastai data/transforms.py, MultiCategory.show. */
const SEPARATOR = ';'

/** A label with letters such as ü in one of their two spellings, which look the same: as one sign, not as u and a mark. */
export function sameSpelling(label: string): string {
  return label.normalize('NFC')
}

/** Label that the name of a folder stands for: without spaces around it, which are not seen, and which tables lose. */
export function folderLabel(name: string): string {
  return sameSpelling(name.trim() || name)
}

/** The first labels of a vocabulary, for messages. */
export function vocabText(vocab: readonly string[]): string {
  return vocab.slice(0, 12).join(' ') + (vocab.length > 12 ? ' …' : '')
}

/**
 * Returns the name of a class, or `output N` for an output beyond the vocabulary: a model may have more outputs than
 * there are classes.
 */
export function outputName(vocab: readonly string[], output: number): string {
  return vocab[output] ?? `output ${output}`
}

/** Targets that are one class each. */
export function categoryTarget(vocab: readonly string[], options: { readonly addNa?: boolean } = {}): TargetCodec {
  const numberOf = categorizer('CategoryBlock', vocab, options.addNa === true)
  return {
    kind: 'category',
    ...(options.addNa === true && { options: { addNa: true } }),
    vocab,
    columns: 'class',
    encode: (item, label) => [numberOf(item, requireText(item, label))],
    decode: (outputs) => [placeOfLargest(outputs)],
    text: (target) => outputName(vocab, target[0]),
  }
}

/** Targets that are any number of labels each: a row of 0 and 1. */
export function multiCategoryTarget(
  vocab: readonly string[],
  options: { readonly addNa?: boolean; readonly encoded?: boolean } = {},
): TargetCodec {
  const { addNa = false, encoded = false } = options
  const numberOf = categorizer('MultiCategoryBlock', vocab, addNa)
  return {
    kind: 'multiCategory',
    options: { addNa, encoded },
    vocab,
    columns: vocab.length,
    encode(item, label) {
      if (encoded) return requireRow(item, label, vocab.length, isShare, 'a list of 0 and 1, one per label')
      const row = new Float32Array(vocab.length)
      for (const one of requireLabels(item, label)) row[numberOf(item, one)] = 1
      return row
    },
    decode: (outputs, threshold) => outputs.map((value) => Number(value > threshold)),
    text: (target) => vocab.filter((_, i) => target[i] > 0.5).join(SEPARATOR),
  }
}

/** Targets that are numbers. */
export function regressionTarget(columns: number, names?: readonly string[]): TargetCodec {
  return {
    kind: 'regression',
    options: { columns, ...(names && { names: [...names] }) },
    vocab: [],
    ...(names && { names }),
    columns,
    encode(item, label) {
      const row = Array.isArray(label) || ArrayBuffer.isView(label) ? label : [label]
      return requireRow(
        item,
        row,
        columns,
        Number.isFinite,
        columns === 1 ? 'a number' : `a list of ${columns} numbers`,
      )
    },
    decode: (outputs) => outputs,
    text: (target) =>
      Array.from(target, (value, i) => (names ? `${names[i]} ${numberText(value)}` : numberText(value))).join(', '),
  }
}

/** Returns the names of the numbers of a target that are quantities, or `value`, or `value 1`, `value 2` and so on. */
export function numberNames({ names, columns }: Pick<TargetCodec, 'names' | 'columns'>): readonly string[] {
  return names ?? Array.from({ length: Number(columns) || 0 }, (_, i) => (columns === 1 ? 'value' : `value ${i + 1}`))
}

/** A number with the digits that an f32 of a network has to say. */
function numberText(value: number): string {
  return String(Number(value.toPrecision(5)))
}

/** The targets that exported models have, by kind. */
export const targetMakers: Readonly<Record<string, TargetCodecMaker>> = {
  category: (options, vocab) => categoryTarget(vocab, options as { readonly addNa?: boolean } | undefined),
  multiCategory: (options, vocab) => multiCategoryTarget(vocab, options as { readonly addNa?: boolean } | undefined),
  regression(options) {
    const { columns, names } = options as { readonly columns: number; readonly names?: readonly string[] }
    return regressionTarget(columns, names)
  },
}

/** Outputs that a model needs, at least, for a target. */
export function outputsOf({ columns, vocab }: Pick<TargetCodec, 'columns' | 'vocab'>): number {
  return columns === 'class' ? vocab.length : columns
}

/** Numbers of one item. */
export function rowOf(numbers: TargetNumbers, { columns }: Pick<TargetCodec, 'columns'>, place: number): TargetNumbers {
  const width = columns === 'class' ? 1 : columns
  return numbers.subarray(place * width, (place + 1) * width)
}

/** Numbers of some items, in their order. */
export function rowsOf(
  numbers: TargetNumbers,
  { columns }: Pick<TargetCodec, 'columns'>,
  places: Uint32Array,
): TargetNumbers {
  if (columns === 'class') return Uint32Array.from(places, (place) => numbers[place])
  const rows = new Float32Array(places.length * columns)
  places.forEach((place, i) => rows.set(numbers.subarray(place * columns, (place + 1) * columns), i * columns))
  return rows
}

/** Numbers of as many items as there are labels, all of them 0. */
export function emptyNumbers({ columns }: Pick<TargetCodec, 'columns'>, count: number): TargetNumbers {
  return columns === 'class' ? new Uint32Array(count) : new Float32Array(count * columns)
}

/**
 * Numbers of labels, one after the other.
 *
 * @throws DataError  naming the item, if a label is none
 * @throws OptionError  if a target of one's own gives another number of numbers than it has columns
 */
export function encoded(
  target: TargetCodec,
  count: number,
  given: Iterable<readonly [number, string, unknown]>,
): TargetNumbers {
  const numbers = emptyNumbers(target, count)
  const width = target.columns === 'class' ? 1 : target.columns
  for (const [place, item, label] of given) {
    const row = target.encode(item, label)
    if (row.length !== width) {
      throw new OptionError(`block ${target.kind}`, 'encode gives another number of numbers than there are columns', {
        given: { item, numbers: row.length },
        expected: String(width),
      })
    }
    numbers.set(row, place * width)
  }
  return numbers
}

/**
 * Refuses what only targets of one class each have.
 *
 * @param fix  what there is instead
 */
export function requireOneClass(
  where: string,
  { kind, columns }: Pick<TargetCodec, 'kind' | 'columns'>,
  fix?: string,
): void {
  if (columns === 'class') return
  throw new OptionError(where, 'this is for targets of one class per image', {
    given: { targets: kind, numbers: columns },
    expected: 'loaders with a CategoryBlock',
    fix,
  })
}

/**
 * The number of an item's label, which is its place in the vocabulary.
 *
 * @param addNa  number 0 for labels that are not there
 * @throws DataError  from the function, when the label is not in the vocabulary
 */
function categorizer(block: string, vocab: readonly string[], addNa: boolean): (item: string, label: string) => number {
  const numbers = new Map(vocab.map((label, i) => [sameSpelling(label), i]))
  return (item, label) => {
    const number = numbers.get(label) ?? (addNa ? 0 : undefined)
    if (number !== undefined) return number
    throw new DataError(item, `the label '${label}' is not in the vocabulary`, {
      given: { vocabulary: vocabText(vocab) },
      expected: 'a label that occurs in the training items',
      fix: `use another split or more items, or give the labels: ${block}({ vocab }); of a file to predict leave out the label`,
    })
  }
}

/** @throws DataError  unless a label is a text that is not empty */
export function requireText(item: string, label: unknown): string {
  if (typeof label === 'string' && label !== '') return sameSpelling(label)
  throw new DataError(item, 'getY gives it no label', { given: { label }, expected: 'a text' })
}

/** @throws DataError  unless labels are a list of texts, which may be empty */
export function requireLabels(item: string, labels: unknown): readonly string[] {
  if (Array.isArray(labels) && labels.every((label) => typeof label === 'string' && label !== '')) {
    return labels.map((label: string) => sameSpelling(label))
  }
  throw new DataError(item, 'getY gives it no list of labels', {
    given: { labels },
    expected: 'a list of texts, empty for an item without labels',
    fix: typeof labels === 'string' ? "split the text: getY: (item) => labelsOf(item).split(' ')" : undefined,
  })
}

const isShare = (value: number): boolean => value >= 0 && value <= 1

function requireRow(
  item: string,
  row: unknown,
  columns: number,
  is: (value: number) => boolean,
  expected: string,
): Float32Array {
  if (Array.isArray(row) || ArrayBuffer.isView(row)) {
    const numbers = Float32Array.from(row as ArrayLike<number | string>, toNumber)
    if (numbers.length === columns && numbers.every(is)) return numbers
  }
  throw new DataError(item, 'getY gives it no target', { given: { target: row }, expected })
}

/** A number, or the decimal text of one, as tables have them; NaN for anything else, such as the code `0x1f`. */
export function toNumber(value: unknown): number {
  if (typeof value === 'number') return value
  return typeof value === 'string' && /^[\s\d.eE+-]+$/.test(value) && value.trim() !== '' ? Number(value) : NaN
}
