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

/** Targets that are one class each, numbered by the place in the vocabulary. */
export function CategoryBlock(options: { readonly vocab?: readonly string[] } = {}): CategoryBlock {
  return { kind: 'category', vocab: options.vocab }
}
