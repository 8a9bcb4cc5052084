import { DataError, OptionError } from '../base/errors.ts'
import { checkOptions, listOf, TEXT } from '../base/options.ts'

/** The items are pictures. */
export interface ImageBlock {
  readonly kind: 'image'
}

/** Items that are image files, decoded to 8-bit RGB. */
export function ImageBlock(): ImageBlock {
  return { kind: 'image' }
}

/** The targets are one class each. */
export interface CategoryBlock {
  readonly kind: 'category'
  /** The classes in their order; absent: the labels of the training items, sorted. */
  readonly vocab: readonly string[] | undefined
}

/** Targets that are one class each, numbered by the place in the vocabulary. @throws OptionError when that has one twice */
export function CategoryBlock(options: { readonly vocab?: readonly string[] } = {}): CategoryBlock {
  checkOptions('CategoryBlock', options, { vocab: listOf(TEXT) })
  const seen = new Set<string>()
  const twice = options.vocab?.find((label) => seen.size === seen.add(sameSpelling(label)).size)
  if (twice !== undefined) {
    throw new OptionError('CategoryBlock', 'a class is there twice', { given: { vocab: options.vocab, twice } })
  }
  return { kind: 'category', vocab: options.vocab }
}

/** A label with letters such as ü in one of their two spellings, which look the same: as one sign, not as u and a mark. */
export function sameSpelling(label: string): string {
  return label.normalize('NFC')
}

/** The first labels of a vocabulary, for messages. */
export function vocabText(vocab: readonly string[]): string {
  return vocab.slice(0, 12).join(' ') + (vocab.length > 12 ? ' …' : '')
}

/**
 * The number of an item's label, which is its place in the vocabulary.
 *
 * @param fix  what to do about a label that is not there
 * @throws DataError  from the function, when the label is not in the vocabulary
 */
export function categorizer(vocab: readonly string[], fix: string): (item: string, label: string) => number {
  const numbers = new Map(vocab.map((label, i) => [sameSpelling(label), i]))
  return (item, label) => {
    const number = numbers.get(sameSpelling(label))
    if (number !== undefined) return number
    throw new DataError(item, `the label '${label}' is not in the vocabulary`, {
      given: { vocabulary: vocabText(vocab) },
      expected: 'a label that occurs in the training items',
      fix,
    })
  }
}
