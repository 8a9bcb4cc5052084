import { requireInteger, requireNumber } from '../base/check.ts'
import { DataError } from '../base/errors.ts'
import { checkArgument, checkOptions, FUNCTION, listOf, NUMBER, oneOf, TEXT } from '../base/options.ts'
import { rng } from '../base/rng.ts'
import { ancestor } from './items.ts'

/** Indices of items: which to train on and which to measure on, each in the order they are given out. */
export interface Split {
  readonly train: Uint32Array
  readonly valid: Uint32Array
}

const FOLDERS = oneOf(TEXT, listOf(TEXT))

/** Decides for every item whether it is trained or measured on. */
export type Splitter = (items: readonly string[]) => Split

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
  /** Key of an item: those with equal keys, such as copies of one image, come to the same side. Default: the item itself */
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
    const classes = new Map<string, Map<string, number[]>>()
    for (const [i, item] of items.entries()) {
      const label = labelOf(item)
      const units = classes.get(label) ?? new Map<string, number[]>()
      classes.set(label, units)
      const unit = units.get(together(item))
      if (unit) unit.push(i)
      else units.set(together(item), [i])
    }
    const valid = new Set<number>()
    for (const [label, units] of classes) {
      const all = [...units.values()]
      const count = all.length < 2 ? 0 : Math.min(all.length - 1, Math.max(1, Math.round(validPercent * all.length)))
      // The name is part of the stream, so that another class changes nothing here.
      const order = rng(seed, `split ${label}`).permutation(all.length)
      for (const unit of order.subarray(0, count)) for (const item of all[unit]) valid.add(item)
    }
    const side = (isValid: boolean) =>
      Uint32Array.from(Array.from(items.keys()).filter((item) => valid.has(item) === isValid))
    const split = { train: side(false), valid: side(true) }
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
