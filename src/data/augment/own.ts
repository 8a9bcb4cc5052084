import { OptionError } from '../../base/errors.ts'
import type { Json } from '../../base/json.ts'
import { ANY, checkOptions, FLAG, FUNCTION, ignoreRejection, NUMBER, oneOfTexts, PATH } from '../../base/options.ts'
import type { Rng } from '../../base/rng.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { BatchShape, Phase } from './draw.ts'

/** Random numbers of one batch by name, drawn on the CPU. */
export type DrawnNumbers = Readonly<Record<string, Float32Array | Uint32Array>>

/** Numbers of `DrawnNumbers` on the GPU, each a tensor of one axis. */
export type DrawnTensors = Readonly<Record<string, Tensor>>

/**
 * Batch transform as a function of its own, made of operations on tensors: images, [N,H,W,3] with values from 0 to 1 in
 * f32, to images of the same shape. It runs in training and validation, before normalization.
 */
export type OwnBatchFunction = (images: Tensor, drawn: DrawnTensors, phase: Phase) => Tensor

/** Batch transform from outside the package: operations on tensors, or launches of WGSL of one's own. */
export interface OwnBatch {
  /** Name in messages and files, and of its stream of random numbers. */
  readonly name: string
  readonly apply: OwnBatchFunction
  /** 'train': only where transforms are random; 'both': in validation and prediction as well. */
  readonly runsOn: 'train' | 'both'
  /**
   * Draws the random numbers of a batch of images of that shape, the same names and lengths for every batch of a shape.
   * Shaders contain no generator: what is drawn here is the same in every run. Default none
   */
  readonly draw?: (random: Rng, shape: BatchShape, phase: Phase) => DrawnNumbers
  /**
   * Below 99: before normalization, on values from 0 to 1 in f32. Otherwise last, on the network's input in its type.
   * Default 50
   */
  readonly order?: number
  /** Options that change what it does: a fit is resumed only with the same. Default none */
  readonly options?: Json
  /**
   * True if `apply` launches the same work for every batch of a shape, so that recorded steps can be replayed without
   * calling it. Default false: then no step is replayed
   */
  readonly replayable?: boolean
}

/** Batch transform from outside, as loaders hold it. */
export interface OwnBatchTransform
  extends Required<Omit<OwnBatch, 'options' | 'draw'>>, Pick<OwnBatch, 'options' | 'draw'> {
  readonly kind: 'own'
}

/** Place in the order from which on images are normalized. Source: fastai data/transforms.py, Normalize.order. */
export const NORMALIZED = 99
/** Default place: after light and color, which have 40. */
const ORDER = 50

const RUNS_ON = oneOfTexts('train', 'both')

/**
 * Returns code from outside as a batch transform.
 *
 * @throws OptionError  unless it is a named function or an object as `OwnBatch` says
 */
export function toOwnBatchTransform(given: OwnBatch | OwnBatchFunction): OwnBatchTransform {
  if (typeof given === 'function') {
    if (given.name === '') {
      throw new OptionError('batch transforms', 'a function has no name', {
        fix: "write function invert(images) { … }, or { name: 'invert', runsOn: 'both', apply }",
      })
    }
    const apply: OwnBatchFunction = given
    return { kind: 'own', name: given.name, order: ORDER, runsOn: 'both', replayable: false, apply }
  }
  checkOptions<OwnBatch>('batch transform', given, {
    name: PATH,
    apply: FUNCTION,
    runsOn: RUNS_ON,
    draw: FUNCTION,
    order: NUMBER,
    options: ANY,
    replayable: FLAG,
  })
  const { name, apply, runsOn, draw, order = ORDER, options, replayable = false } = given
  for (const [part, value] of Object.entries({ name, apply, runsOn })) {
    if (value !== undefined) continue
    throw new OptionError('batch transform', `it has no ${part}`, {
      given: { name },
      expected: "{ name, runsOn: 'train' or 'both', apply: (images, drawn, phase) => images }",
    })
  }
  return {
    kind: 'own',
    name,
    order,
    runsOn,
    replayable,
    ...(options !== undefined && { options }),
    ...(draw && { draw: (random, shape, phase) => draw.call(given, random, shape, phase) }),
    apply: (images, drawn, phase) => apply.call(given, images, drawn, phase),
  }
}

/** @throws OptionError  if numbers are missing or have another length than those of a batch of the same shape */
export function checkNumbers(name: string, drawn: unknown, before?: DrawnTensors): asserts drawn is DrawnNumbers {
  const where = `batch transform ${name}`
  if (ignoreRejection(drawn) || typeof drawn !== 'object' || drawn === null) {
    throw new OptionError(where, 'draw did not return numbers by name', { expected: '{ angles: Float32Array, … }' })
  }
  for (const [key, numbers] of Object.entries(drawn) as [string, unknown][]) {
    if ((numbers instanceof Float32Array || numbers instanceof Uint32Array) && numbers.length > 0) continue
    throw new OptionError(where, `${key} of draw is not a list of numbers`, {
      expected: 'a Float32Array or Uint32Array that is not empty',
    })
  }
  if (!before) return
  const text = (of: object, lengthOf: (value: never) => number) =>
    Object.entries(of)
      .map(([key, value]) => `${key} [${lengthOf(value as never)}]`)
      .join(', ')
  const [now, then] = [text(drawn, ({ length }: Float32Array) => length), text(before, ({ shape }: Tensor) => shape[0])]
  if (now === then) return
  throw new OptionError(where, 'draw returned other numbers than for a batch of the same size before', {
    given: { now, before: then },
    expected: 'the same names and lengths for every batch of a shape',
  })
}
