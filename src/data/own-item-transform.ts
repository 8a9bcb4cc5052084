import { OptionError } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import { ANY, checkOptions, FUNCTION, NUMBER, oneOfTexts, PATH } from '../base/options.ts'
import type { Rng } from '../base/rng.ts'
import type { Pixels } from '../image/pixels.ts'
import type { Phase } from './augment/draw.ts'

/** Circumstances of one image, for code that transforms it. */
export interface ItemContext {
  /** Random numbers of this image and epoch, from a stream with the name of the transform: the same in every run. */
  readonly random: Rng
  /** 'train' where transforms are random, as in training and test-time augmentation; otherwise 'valid'. */
  readonly phase: Phase
}

/**
 * Item transform as a function of its own: it may work in the pixels that it is given, 8-bit RGBA, or return others. It runs
 * on the thread that trains, since functions cannot be sent to decoding threads, after resizing, in training and validation.
 */
export type OwnItemFunction = (image: Pixels, context: ItemContext) => Pixels | Promise<Pixels>

/** Item transform from outside the package, with everything that a function alone does not say. */
export interface OwnItem {
  /** Name in messages and files, and of its stream of random numbers. */
  readonly name: string
  readonly apply: OwnItemFunction
  /** 'train': only where transforms are random; 'both': in validation and prediction as well. */
  readonly runsOn: 'train' | 'both'
  /** Below 1: before resizing, on the whole image; otherwise after it. Default 2 */
  readonly order?: number
  /** Options that change what it does: a fit is resumed only with the same. Default none */
  readonly options?: Json
}

/** Item transform from outside, as loaders hold it. */
export interface OwnItemTransform extends Required<Omit<OwnItem, 'options'>>, Pick<OwnItem, 'options'> {
  readonly kind: 'own'
}

/** Stage at which transforms of one's own run where they do not say. */
const ORDER = 2

/**
 * Returns code from outside as an item transform.
 *
 * @throws OptionError  unless it is a named function or an object as `OwnItem` says
 */
export function toOwnItemTransform(given: OwnItem | OwnItemFunction): OwnItemTransform {
  if (typeof given === 'function') {
    if (given.name === '') {
      throw new OptionError('item transforms', 'a function has no name, from which its random numbers would be drawn', {
        fix: "write function sharpen(image, { random }) { … }, or { name: 'sharpen', runsOn: 'train', apply }",
      })
    }
    return { kind: 'own', name: given.name, order: ORDER, runsOn: 'both', apply: given }
  }
  checkOptions<OwnItem>('item transform', given, {
    name: PATH,
    apply: FUNCTION,
    runsOn: oneOfTexts('train', 'both'),
    order: NUMBER,
    options: ANY,
  })
  const { name, apply, runsOn, order = ORDER, options } = given
  for (const [part, value] of Object.entries({ name, apply, runsOn })) {
    if (value !== undefined) continue
    throw new OptionError('item transform', `it has no ${part}`, {
      given: { name },
      expected: "{ name, runsOn: 'train' or 'both', apply: (image, { random, phase }) => image }",
    })
  }
  return {
    kind: 'own',
    name,
    order,
    runsOn,
    ...(options !== undefined && { options }),
    apply: (image, context) => apply.call(given, image, context),
  }
}
