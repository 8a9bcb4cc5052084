import { DataError, OptionError } from '../base/errors.ts'
import { checkOptions, listOf, TEXT } from '../base/options.ts'
import { toDecoding, type DecodeOptions, type Decoding } from '../image/decode-options.ts'

/** Items that are images. */
export interface ImageBlock {
  readonly kind: 'image'
  readonly decoding: Decoding
}

/**
 * Items that are image files, decoded to 8-bit RGB.
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
