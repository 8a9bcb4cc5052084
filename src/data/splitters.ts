import { requireInteger, requireNumber } from '../base/check.ts'
import { DataError } from '../base/errors.ts'
import { groupBy } from '../base/group-by.ts'
import { checkArgument, checkOptions, FUNCTION, listOf, NUMBER, oneOf, TEXT } from '../base/options.ts'
import { rng } from '../base/rng.ts'
import { ancestor } from './items.ts'

/** Indices of items: which to train on and which to measure on, each in the order they are given out. */
export interface Split {
  readonly train: Uint32Array
  readonly valid: Uint32Array
}

const FOLDERS = oneOf(TEXT, listOf(TEXT))

/**
 * Decides for every item whether it is trained or measured on, by its index; those on neither side are left out. A program's
 * own may return lists: `(items) => ({ train: [0, 1, 2], valid: [3] })`.
 */
export type Splitter = (items: readonly string[]) => {
  readonly [Side in keyof Split]: Uint32Array | readonly number[]
}

/**
 * A random share of the items to measure on, the same for the same seed and number of items.
 *
 *   permutation = randperm(n)   valid = the first ⌊validPercent · n⌋ of it   train = the rest
 *
 * The permutation is PyTorch's, so that seed 42 gives the split that fastai gives with seed 42.
 *
 * @param options.validPercent  share to measure on, within ]0, 1[. Default 0.2
 * @param options.seed          0 … 2³² − 1. Default 42; fastai's own default is another split at every call
 * @throws OptionError  when one of them is out of range
 * @throws DataError    from the splitter, when either side would be empty
 *
 * Source: fastai data/transforms.py, RandomSplitter.
 */
export function randomSplitter(options: { validPercent?: number; seed?: number } = {}): Splitter {
  checkOptions('randomSplitter', options, { validPercent: NUMBER, seed: NUMBER })
  const { validPercent = 0.2, seed = 42 } = options
  requireNumber('randomSplitter', 'validPercent', validPercent, { above: 0, below: 1 })
  requireInteger('randomSplitter', 'seed', seed, { from: 0, to: 0xffffffff })
  return (items) => {
    const count = Math.floor(validPercent * items.length)
    if (count === 0) {
      throw new DataError('randomSplitter', 'no item is left to measure on', {
        given: { items: items.length, validPercent },
        fix: 'take more items, or a larger validPercent',
      })
    }
    const permutation = torchPermutation(items.length, seed)
    return { train: permutation.slice(count), valid: permutation.slice(0, count) }
  }
}

/** Options of `stratifiedSplitter`. */
export interface StratifiedOptions {
  /** Label of an item. */
  readonly labelOf: (item: string) => string
  /** Share of each class to measure on, within ]0, 1[. Default 0.2 */
  readonly validPercent?: number
  /** Default 42 */
  readonly seed?: number
  /**
   * Key of an item: those with equal keys, such as copies of one image, come to the same side, also where their labels differ.
   * Default: the item itself
   */
  readonly together?: (item: string) => string
}

/**
 * A random share of every class to measure on: at least one item of a class that has two, none of a class that has one. With
 * few images a plain random share may have none of a class, or all of it.
 *
 * @throws OptionError  when an option is out of range
 * @throws DataError    from the splitter, when either side would be empty
 * Source: scikit-learn model_selection/_split.py, StratifiedShuffleSplit, and fastai data/transforms.py, TrainTestSplitter.
 */
export function stratifiedSplitter(options: StratifiedOptions): Splitter {
  const kinds = { labelOf: FUNCTION, validPercent: NUMBER, seed: NUMBER, together: FUNCTION }
  checkOptions('stratifiedSplitter', options, kinds)
  checkArgument('stratifiedSplitter', 'labelOf', options.labelOf, FUNCTION)
  const { labelOf, validPercent = 0.2, seed = 42, together = (item: string) => item } = options
  requireNumber('stratifiedSplitter', 'validPercent', validPercent, { above: 0, below: 1 })
  requireInteger('stratifiedSplitter', 'seed', seed, { from: 0 })
  return (items) => {
    const classes = unitsOf(items, labelOf, together)
    const valid = new Set<number>()
    for (const [label, all] of classes) {
      const count = all.length < 2 ? 0 : Math.min(all.length - 1, Math.max(1, Math.round(validPercent * all.length)))
      // The name is part of the stream, so that another class changes nothing here.
      const order = rng(seed, `split ${label}`).permutation(all.length)
      for (const unit of order.subarray(0, count)) for (const item of all[unit]) valid.add(item)
    }
    const split = splitBy(items, (item) => valid.has(item))
    if (split.train.length > 0 && split.valid.length > 0) return split
    throw new DataError(
      'stratifiedSplitter',
      `no item is left to ${split.valid.length === 0 ? 'measure' : 'train'} on`,
      {
        given: { items: items.length, classes: classes.size },
        fix: 'take more items of each class',
      },
    )
  }
}

/** Options of `kFold`. */
export interface KFoldOptions {
  /** Label of an item: every fold then has each class's share. Default: items are divided whatever their labels */
  readonly stratified?: (item: string) => string
  /** Default 42 */
  readonly seed?: number
  /**
   * Key of an item: those with equal keys, such as images of one patient, come to the same fold, also where their labels differ.
   * Default: the item itself
   */
  readonly together?: (item: string) => string
}

/**
 * Makes n splitters for cross-validation. Each item is measured on by one of them and trained on by all others; the folds are
 * as large as each other, to one item.
 *
 *   for (const splitter of kFold(5, { stratified: parentLabel })) …  new DataBlock({ …, splitter })
 *
 * With `stratified` the sizes of the folds are those of scikit-learn's StratifiedKFold, of each class to one item.
 *
 * @param n  number of folds, at least 2
 * @throws OptionError  when n or the seed is out of range
 * @throws DataError    from a splitter, when there are fewer items than folds
 * Source: scikit-learn model_selection/_split.py, KFold and StratifiedKFold.
 */
export function kFold(n: number, options: KFoldOptions = {}): Splitter[] {
  requireInteger('kFold', 'n', n, { from: 2 })
  checkOptions('kFold', options, { stratified: FUNCTION, seed: NUMBER, together: FUNCTION })
  const { stratified = () => '', seed = 42, together = (item: string) => item } = options
  requireInteger('kFold', 'seed', seed, { from: 0 })
  return Array.from({ length: n }, (_, fold) => (items: readonly string[]) => {
    const classes = unitsOf(items, stratified, together)
    const valid = new Set<number>()
    // Folds are dealt out from class to class without beginning anew, so that the first gets no more than the last.
    let place = 0
    for (const [label, all] of classes) {
      for (const unit of rng(seed, `fold ${label}`).permutation(all.length)) {
        if (place++ % n === fold) for (const item of all[unit]) valid.add(item)
      }
    }
    if (place >= n) return splitBy(items, (item) => valid.has(item))
    throw new DataError('kFold', 'there are fewer items than folds', {
      given: { folds: n, items: items.length, ...(place < items.length && { 'that may be apart': place }) },
      fix: 'take more items, or fewer folds',
    })
  })
}

/**
 * Returns the units of items that stay together, by class, in the order in which they come. A unit with items of several
 * classes counts for the one that has the fewest items, since that one has the fewest units to share out.
 */
function unitsOf(
  items: readonly string[],
  labelOf: (item: string) => string,
  together: (item: string) => string,
): Map<string, number[][]> {
  const labels = items.map((item) => labelOf(item))
  const sizes = new Map([...groupBy(labels, (label) => label)].map(([label, same]) => [label, same.length]))
  const sizeOf = (label: string) => sizes.get(label) ?? 0
  const classOf = (unit: readonly number[]) =>
    unit.map((item) => labels[item]).reduce((least, label) => (sizeOf(label) < sizeOf(least) ? label : least))
  return groupBy(groupBy(items.keys(), (item) => together(items[item])).values(), classOf)
}

function splitBy(items: readonly string[], isValid: (item: number) => boolean): Split {
  const side = (wanted: boolean) =>
    Uint32Array.from(Array.from(items.keys()).filter((item) => isValid(item) === wanted))
  return { train: side(false), valid: side(true) }
}

/**
 * Returns a splitter that goes by the name of the folder around the class folder: `imagenette2/train/n01440764/x.JPEG` is trained on. Items below
 * neither folder are left out, as in fastai.
 *
 * @param options.train  one name or several. Default 'train'
 * @param options.valid  one name or several. Default 'valid'; Imagenette calls it 'val'
 * @throws DataError  from the splitter, when either side is empty
 *
 * Source: fastai data/transforms.py, GrandparentSplitter.
 */
export function grandparentSplitter(
  options: { train?: string | readonly string[]; valid?: string | readonly string[] } = {},
): Splitter {
  checkOptions('grandparentSplitter', options, { train: FOLDERS, valid: FOLDERS })
  const namesOf = { train: [options.train ?? 'train'].flat(), valid: [options.valid ?? 'valid'].flat() }
  return (items) => {
    const folders = items.map((item) => ancestor(item, 2))
    const below = (side: 'train' | 'valid'): Uint32Array => {
      const indices = Uint32Array.from(folders.flatMap((folder, i) => (namesOf[side].includes(folder) ? [i] : [])))
      if (indices.length > 0) return indices
      const nothing = `so there is nothing to ${side === 'train' ? 'train' : 'measure'} on`
      throw new DataError('grandparentSplitter', `no item lies below ${namesOf[side].join(' or ')}, ${nothing}`, {
        given: { items: items.length, 'folders found': [...new Set(folders)].slice(0, 8).join(', ') || 'none' },
        fix: `give the name of the folder, such as grandparentSplitter({ ${side}: '${side === 'train' ? 'train' : 'val'}' })`,
      })
    }
    return { train: below('train'), valid: below('valid') }
  }
}

/**
 * torch.randperm(n) of a CPU generator with this seed: Fisher-Yates from the front, drawing by remainder.
 *
 * Source: PyTorch aten/src/ATen/native/TensorFactories.cpp, randperm_cpu.
 */
function torchPermutation(n: number, seed: number): Uint32Array {
  const draw = mersenneTwister(seed)
  const order = Uint32Array.from({ length: n }, (_, i) => i)
  for (let i = 0; i < n - 1; i++) {
    const j = i + (draw() % (n - i))
    const swap = order[i]
    order[i] = order[j]
    order[j] = swap
  }
  return order
}

/**
 * MT19937, the generator of PyTorch on the CPU: a function that gives the next 32 bits.
 *
 * Source: Matsumoto & Nishimura 1998, "Mersenne twister", ACM TOMACS 8(1); initialisation by init_genrand of their 2002
 * version. The library's own choices come from base/rng.ts; this one exists to agree with PyTorch.
 */
function mersenneTwister(seed: number): () => number {
  const N = 624
  const M = 397
  const state = new Uint32Array(N)
  state[0] = seed
  for (let i = 1; i < N; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i
  let next = N
  return () => {
    if (next === N) {
      for (let i = 0; i < N; i++) {
        const y = (state[i] & 0x80000000) | (state[(i + 1) % N] & 0x7fffffff)
        state[i] = state[(i + M) % N] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0)
      }
      next = 0
    }
    let y = state[next++]
    y ^= y >>> 11
    y ^= (y << 7) & 0x9d2c5680
    y ^= (y << 15) & 0xefc60000
    return (y ^ (y >>> 18)) >>> 0
  }
}
