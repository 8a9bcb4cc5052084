/** The search for a learning rate: what it tries, when it ends, and what its curve suggests. */
import { OptionError } from '../../base/errors.ts'
import { exponentialSchedule } from '../../optim/schedule.ts'

/** With fewer nothing is left of the curve once its ends are cut off. Source: fastai callback/schedule.py, LRFinder. */
const FEWEST_STEPS = 6
/** The search is over when the loss is that many times the lowest so far. Source: as above. */
const DIVERGED = 4
/** Steps at the end of a search that are not looked at. Source: fastai callback/schedule.py, lr_find and plot_lr_find. */
export const LAST_STEPS = 5

/** Learning rates that were tried, rising, and the smoothed loss with each. */
export interface LrCurve {
  readonly lrs: readonly number[]
  readonly losses: readonly number[]
}

export interface Suggestion {
  readonly lr: number
  /** The point of the curve that it comes from. */
  readonly point: { readonly lr: number; readonly loss: number }
}

/** Reads a learning rate off a curve. Its name is that of the suggestion. */
export type SuggestionMethod = (curve: LrCurve) => Suggestion

/**
 * The learning rate of step k: start · (end/start)^(k/steps).
 *
 * @throws OptionError  when a learning rate or the number of steps is out of range
 * Source: fastai callback/schedule.py, LRFinder; Smith 2015, arXiv:1506.01186.
 */
export function searchRates(startLr = 1e-7, endLr = 10, steps = 100): (k: number) => number {
  if (!(startLr > 0 && startLr < endLr && endLr < Infinity) || !Number.isInteger(steps) || steps < FEWEST_STEPS) {
    throw new OptionError('lrFind', 'there is nothing to search', {
      given: { startLr, endLr, steps },
      expected: `0 < startLr < endLr, and ${FEWEST_STEPS} steps or more`,
    })
  }
  const rate = exponentialSchedule(startLr, endLr)
  return (k) => rate(k / steps)
}

/** How many of these smoothed losses belong to the search: up to the first that is over four times the lowest so far. */
export function searchLength(losses: readonly number[]): number {
  let best = Infinity
  const last = losses.findIndex((loss) => {
    best = loss < best ? loss : best
    return loss > DIVERGED * best
  })
  return last < 0 ? losses.length : last + 1
}

/**
 * The part of a search that suggestions are read from: without its first tenth and its last five steps, and without
 * anything from the first loss on that is not a number.
 *
 * @param steps  how many were asked for; the search may have ended before
 * @throws OptionError  when nothing is left
 * Source: fastai callback/schedule.py, lr_find.
 */
export function searchCurve({ lrs, losses }: LrCurve, steps: number): LrCurve {
  const [begin, end] = [Math.floor(steps / 10), losses.length - LAST_STEPS]
  const firstNaN = losses.findIndex((loss, i) => i >= begin && Number.isNaN(loss))
  const until = Math.max(begin, firstNaN < 0 ? end : Math.min(end, firstNaN))
  if (until === begin) {
    throw new OptionError('lrFind', 'the search ended too early to suggest anything', {
      given: { steps, 'steps made': losses.length },
      expected: `more than ${begin + LAST_STEPS} with a loss that is a number`,
      fix: 'begin with a smaller startLr, or take more steps',
    })
  }
  return { lrs: lrs.slice(begin, until), losses: losses.slice(begin, until) }
}

/**
 * Half-way down the longest valley, which is the longest sequence of ever smaller losses; it may leave out others.
 *
 * Source: fastai callback/schedule.py, valley.
 */
export function valley(curve: LrCurve): Suggestion {
  const { losses } = curve
  // Of the longest sequence that ends with each loss.
  const lengths = new Array<number>(losses.length).fill(1)
  let end = 0
  for (let i = 1; i < losses.length; i++) {
    for (let j = 0; j < i; j++) if (losses[i] < losses[j]) lengths[i] = Math.max(lengths[i], lengths[j] + 1)
    if (lengths[i] > lengths[end]) end = i
  }
  // As fastai has it: as many steps before the end as the sequence has losses, whether or not it leaves some out.
  const start = end === 0 ? 0 : end - lengths[end]
  const third = (end - start) / 3
  const index = start + Math.floor(third) + Math.floor(third / 2)
  return suggestionAt(curve, index < 0 ? losses.length + index : index)
}

/**
 * From the end of the curve, a window slides to smaller learning rates for as long as the slopes at its two ends differ;
 * where its left end was last is the suggestion.
 *
 * @param options.width      steps between the ends. Default 15
 * @param options.threshold  smallest difference of the slopes, in loss a step. Default 0.005
 * @throws OptionError  when the curve is not wider than the window
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

/** A tenth of the learning rate with the smallest loss. Source: fastai callback/schedule.py, minimum. */
export function minimum(curve: LrCurve): Suggestion {
  const { lr, point } = suggestionAt(curve, indexOfSmallest(curve.losses))
  return { lr: lr / 10, point }
}

/**
 * Where the loss falls fastest over the logarithm of the learning rate: the left end of that step.
 *
 * @throws OptionError  when the curve is a point
 * Source: fastai callback/schedule.py, steep.
 */
export function steep(curve: LrCurve): Suggestion {
  const { lrs, losses } = curve
  checkLength('steep', curve, 2)
  const slopes = losses.slice(1).map((loss, i) => (loss - losses[i]) / Math.log(lrs[i + 1] / lrs[i]))
  return suggestionAt(curve, indexOfSmallest(slopes))
}

/** The first of the smallest values; a curve may have more of them than a call takes arguments. */
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
    fix: "take more steps, or ask for 'valley'",
  })
}
