/** Learning rate search: the rates it tries, its end, and the suggestions derived from its curve. */
import { OptionError } from '../../base/errors.ts'
import { exponentialSchedule } from '../../optim/schedule.ts'

/**
 * Smallest number of steps: with fewer, nothing remains of the curve once its ends are cut off. Source: fastai
 * callback/schedule.py, LRFinder.
 */
const FEWEST_STEPS = 6
/** Ratio of the loss to its minimum at which the search ends. Source: fastai callback/schedule.py, LRFinder. */
const DIVERGED = 4
/**
 * Number of steps at the end of a search that are ignored. Source: fastai callback/schedule.py, lr_find and
 * plot_lr_find.
 */
export const LAST_STEPS = 5

/** Curve of a learning rate search: rising learning rates and the smoothed loss at each. */
export interface LrCurve {
  readonly lrs: readonly number[]
  readonly losses: readonly number[]
}

/** Learning rate that a rule derives from the curve of a search. */
export interface Suggestion {
  readonly lr: number
  /** Point of the curve that the learning rate derives from. */
  readonly point: { readonly lr: number; readonly loss: number }
}

/** Rule that derives a learning rate from a curve; the name of the function is that of the suggestion. */
export type SuggestionMethod = (curve: LrCurve) => Suggestion

/**
 * Returns the learning rate of step k as a function: start · (end/start)^(k/steps).
 *
 * @param startLr  first learning rate, above 0
 * @param endLr    last learning rate, above startLr
 * @param steps    number of steps
 * @throws OptionError  if a learning rate or the number of steps is out of range
 * Source: fastai callback/schedule.py, LRFinder; Smith 2015, arXiv:1506.01186.
 */
export function searchRates(startLr: number, endLr: number, steps: number): (k: number) => number {
  if (!(startLr > 0 && startLr < endLr && endLr < Infinity) || !Number.isInteger(steps) || steps < FEWEST_STEPS) {
    throw new OptionError('lrFind', 'the range of the search is empty', {
      given: { startLr, endLr, steps },
      expected: `0 < startLr < endLr, and ${FEWEST_STEPS} steps or more`,
    })
  }
  const rate = exponentialSchedule(startLr, endLr)
  return (k) => rate(k / steps)
}

/**
 * Returns how many of these smoothed losses belong to the search: up to the first that exceeds four times the minimum
 * so far.
 */
export function searchLength(losses: readonly number[]): number {
  let best = Infinity
  const last = losses.findIndex((loss) => {
    best = loss < best ? loss : best
    return loss > DIVERGED * best
  })
  return last < 0 ? losses.length : last + 1
}

/**
 * Returns the part of a search that suggestions derive from: without its first tenth, its last five steps, and
 * everything from the first NaN on.
 *
 * @param steps  number of steps requested; the search may have ended earlier
 * @throws OptionError  if nothing remains
 * Source: fastai callback/schedule.py, lr_find.
 */
export function searchCurve({ lrs, losses }: LrCurve, steps: number): LrCurve {
  const [begin, end] = [Math.floor(steps / 10), losses.length - LAST_STEPS]
  const firstNaN = losses.findIndex((loss, i) => i >= begin && Number.isNaN(loss))
  const until = Math.max(begin, firstNaN < 0 ? end : Math.min(end, firstNaN))
  if (until === begin) {
    throw new OptionError('lrFind', 'the search ended too early for a suggestion', {
      given: { steps, 'steps made': losses.length },
      expected: `more than ${begin + LAST_STEPS} steps with a loss other than NaN`,
      fix: 'begin with a smaller startLr, or take more steps',
    })
  }
  return { lrs: lrs.slice(begin, until), losses: losses.slice(begin, until) }
}

/**
 * Suggests the learning rate halfway down the longest valley, the longest decreasing subsequence of the losses.
 *
 * Source: fastai callback/schedule.py, valley.
 */
export function valley(curve: LrCurve): Suggestion {
  const { losses } = curve
  // Lengths of the longest decreasing subsequences that end at each loss.
  const lengths = new Array<number>(losses.length).fill(1)
  let end = 0
  for (let i = 1; i < losses.length; i++) {
    for (let j = 0; j < i; j++) if (losses[i] < losses[j]) lengths[i] = Math.max(lengths[i], lengths[j] + 1)
    if (lengths[i] > lengths[end]) end = i
  }
  // As in fastai: the start is as many steps before the end as the subsequence has losses, even if it skips some.
  const start = end === 0 ? 0 : end - lengths[end]
  const third = (end - start) / 3
  const index = start + Math.floor(third) + Math.floor(third / 2)
  return suggestionAt(curve, index < 0 ? losses.length + index : index)
}

/**
 * Suggests a learning rate by the interval slide rule: an interval moves from the end of the curve toward smaller
 * learning rates while the slopes at its two ends differ; the suggestion is its last left end.
 *
 * @param options.width      number of steps between the ends of the interval. Default 15
 * @param options.threshold  smallest difference of the slopes, in loss per step. Default 0.005
 * @throws OptionError  if the curve is not longer than the interval
 * Source: fastai callback/schedule.py, slide; Novosad 2020, "Finding the learning rate by the interval slide rule".
 */
export function slide(
  curve: LrCurve,
  options: { readonly width?: number; readonly threshold?: number } = {},
): Suggestion {
  const { width = 15, threshold = 0.005 } = options
  const { losses } = curve
  checkLength('slide', curve, width + 1)
  const slopes = losses.map((_, i) => {
    const [before, after] = [Math.max(i - 1, 0), Math.min(i + 1, losses.length - 1)]
    return (losses[after] - losses[before]) / (after - before)
  })
  let left = losses.length - 1 - width
  let index = left
  while (left >= 0 && Math.abs(slopes[left + width] - slopes[left]) > threshold) index = left--
  return suggestionAt(curve, index)
}

/** Suggests a tenth of the learning rate with the smallest loss. Source: fastai callback/schedule.py, minimum. */
export function minimum(curve: LrCurve): Suggestion {
  const { lr, point } = suggestionAt(curve, indexOfSmallest(curve.losses))
  return { lr: lr / 10, point }
}

/**
 * Suggests the learning rate at which the loss falls fastest over the logarithm of the learning rate: the left end of
 * that step.
 *
 * @throws OptionError  if the curve has fewer than two points
 * Source: fastai callback/schedule.py, steep.
 */
export function steep(curve: LrCurve): Suggestion {
  const { lrs, losses } = curve
  checkLength('steep', curve, 2)
  const slopes = losses.slice(1).map((loss, i) => (loss - losses[i]) / Math.log(lrs[i + 1] / lrs[i]))
  return suggestionAt(curve, indexOfSmallest(slopes))
}

/**
 * Returns the index of the smallest value, the first of equal ones. A loop, because a curve may have more values than a
 * call takes arguments.
 */
function indexOfSmallest(values: readonly number[]): number {
  return values.reduce((best, value, i) => (value < values[best] ? i : best), 0)
}

function suggestionAt({ lrs, losses }: LrCurve, index: number): Suggestion {
  return { lr: lrs[index], point: { lr: lrs[index], loss: losses[index] } }
}

function checkLength(method: string, { losses }: LrCurve, fewest: number): void {
  if (losses.length >= fewest) return
  throw new OptionError('lrFind', `the search ended too early for '${method}'`, {
    given: { points: losses.length },
    expected: `${fewest} or more`,
    fix: "take more steps, or use the rule 'valley'",
  })
}
