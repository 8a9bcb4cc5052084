import { requireInteger, requireRange } from '../../base/check.ts'
import { DataError, OptionError } from '../../base/errors.ts'
import { ANY, checkOptions, FLAG, NUMBER, type Kinds } from '../../base/options.ts'
import type { Loader, EpochOptions } from '../../data/loader.ts'
import type { RunningFit } from '../fit/events.ts'
import { LOADER } from '../fit/kinds.ts'
import { predictItems } from '../fit/evaluate.ts'
import type { ItemPredictions } from '../fit/evaluation.ts'
import type { Predictions } from '../fit/metrics.ts'

/** Options of `Learner.tta`. */
export interface TtaOptions {
  /** Number of passes with random transforms. Default 4 */
  readonly n?: number
  /** Weight of the pass without random transforms, in [0,1]. Default 0.25 */
  readonly beta?: number
  /** True for the elementwise maximum of all passes instead of a mean. Default false */
  readonly useMax?: boolean
  /** Loader of the items. Default: the validation loader */
  readonly loader?: Loader
}

const TTA_KINDS: Kinds<TtaOptions | TtaPairOptions> = { n: NUMBER, beta: ANY, useMax: FLAG, loader: LOADER }

/** Options that request the mean of the passes with random transforms and the pass without them separately. */
export interface TtaPairOptions extends Omit<TtaOptions, 'beta' | 'useMax'> {
  readonly beta: null
  readonly useMax?: never
}

/** Probabilities of test-time augmentation as a pair: mean of the passes with random transforms, and the pass without. */
export interface TtaPair extends Omit<ItemPredictions, 'predictions'> {
  readonly predictions: readonly [augmented: Predictions, plain: Predictions]
}

/**
 * Computes probabilities with test-time augmentation: n passes with the training transforms are averaged and combined
 * with one pass with the validation transforms.
 *
 *   p = (1 − beta) · mean(p₁ … pₙ) + beta · p₀,   or with useMax the elementwise maximum of all
 *
 * @returns probabilities [items, K], rows in the order of the loader; with `beta: null` the pair mean(p₁ … pₙ), p₀
 * @throws OptionError  if n or beta is out of range, or beta comes with useMax
 * @throws DataError    if a file could be read in some passes only
 * Source: fastai learner.py, Learner.tta.
 */
export async function testTimeAugmentation(
  state: RunningFit,
  options: TtaOptions | TtaPairOptions,
): Promise<ItemPredictions | TtaPair> {
  checkOptions('tta', options, TTA_KINDS)
  const { n = 4, beta = 0.25, useMax = false, loader = state.loaders.valid } = options
  requireInteger('tta', 'n', n, { from: 1 })
  requireRange('tta', { beta }, beta === null || (beta >= 0 && beta <= 1), '0 to 1, or null for a pair')
  if (useMax && options.beta !== undefined) {
    throw new OptionError('tta', 'beta weighs a mean, and useMax takes none', {
      given: { beta, useMax },
      fix: 'leave one of them out',
    })
  }
  const predict = (pass: EpochOptions) => predictItems(state, loader, pass, state.loss)
  const drawn: ItemPredictions[] = []
  for (let pass = 1; pass <= n; pass++) drawn.push(await predict({ draws: 'train', pass }))
  const plain = await predict({})
  const passes = drawn.map(({ predictions }) => predictions.data)
  // A file that cannot be read is tried again in the next pass, and rows have no other names than their items.
  const isOther = (items: Uint32Array) =>
    items.length !== plain.items.length || items.some((item, row) => item !== plain.items[row])
  if (drawn.some(({ items }) => isOther(items))) {
    throw new DataError('tta', 'some files could be read in some passes only', {
      given: { items: [...drawn, plain].map(({ items }) => items.length) },
      expected: 'the same items in every pass',
      fix: 'try again, once the disk or the network that they are on is there',
    })
  }
  const combined = (how: 'max' | number) => ({
    ...plain.predictions,
    data: combinePasses(passes, plain.predictions.data, how),
  })
  if (useMax) return { ...plain, predictions: combined('max') }
  if (beta === null) return { ...plain, predictions: [combined(0), plain.predictions] }
  return { ...plain, predictions: combined(beta) }
}

/** Computes the elementwise maximum of all passes, or (1 − how) · mean(passes) + how · plain. */
export function combinePasses(passes: readonly Float32Array[], plain: Float32Array, how: 'max' | number): Float32Array {
  return plain.map((value, i) => {
    if (how === 'max') return passes.reduce((largest, pass) => Math.max(largest, pass[i]), value)
    const mean = passes.reduce((sum, pass) => sum + pass[i], 0) / passes.length
    return mean + how * (value - mean)
  })
}
