import { requireInteger, requireNumber, requireRange } from '../base/check.ts'
import { OptionError } from '../base/errors.ts'
import { checkOptions, NUMBER } from '../base/options.ts'
import { FLAT_COS_KINDS, ONE_CYCLE_KINDS, type OneCycleOptions } from './schedule-options.ts'

export type { OneCycleOptions } from './schedule-options.ts'

/** Hyperparameter over the course of training, by position: 0 at the first batch, 1 just after the last. */
export type Schedule = (position: number) => number

/** Returns a cosine schedule, start + (1 + cos(π(1 − p)))·(end − start)/2. Source: this file follows fastai callback/schedule.py throughout. */
export function cosineSchedule(start: number, end: number): Schedule {
  return (position) => start + ((1 + Math.cos(Math.PI * (1 - position))) * (end - start)) / 2
}

/** Returns a linear schedule, start + p·(end − start) */
export function linearSchedule(start: number, end: number): Schedule {
  return (position) => start + position * (end - start)
}

/** Returns an exponential schedule, start·(end/start)^p */
export function exponentialSchedule(start: number, end: number): Schedule {
  return (position) => start * (end / start) ** position
}

/** Returns a polynomial schedule, start + (end − start)·p^power */
export function polynomialSchedule(start: number, end: number, power: number): Schedule {
  return (position) => start + (end - start) * position ** power
}

/** Returns a constant schedule. */
export function constantSchedule(value: number): Schedule {
  return () => value
}

/**
 * Combines schedules one after the other, each over its fraction of training.
 *
 * The ends of the fractions and the positions within them are computed in f32, as fastai does with PyTorch's tensors; the
 * schedules themselves in f64.
 *
 * @param fractions  fractions of training, positive, with the sum 1
 * @throws OptionError  if they are not, or their number differs from that of the schedules
 */
export function combineSchedules(fractions: readonly number[], schedules: readonly Schedule[]): Schedule {
  const sum = fractions.reduce((total, fraction) => total + fraction, 0)
  if (
    fractions.length !== schedules.length ||
    fractions.some((fraction) => !(fraction > 0)) ||
    Math.abs(sum - 1) > 1e-6
  ) {
    throw new OptionError('combineSchedules', 'the fractions do not divide the whole among the schedules', {
      given: { fractions, schedules: schedules.length },
      expected: 'as many positive fractions as schedules, with the sum 1',
    })
  }
  const { fround } = Math
  const begins = [0]
  for (const fraction of fractions) begins.push(fround(begins[begins.length - 1] + fround(fraction)))
  return (position) => {
    const at = fround(position)
    let index = 0
    while (index + 1 < schedules.length && begins[index + 1] <= at) index++
    const length = fround(begins[index + 1] - begins[index])
    return schedules[index](fround(fround(at - begins[index]) / length))
  }
}

/** Schedules of the learning rate and the momentum of one policy. */
export interface Cycle {
  readonly lr: Schedule
  readonly momentum: Schedule
}

/**
 * Returns the one-cycle policy: the learning rate rises to its maximum, then falls to almost 0, and momentum does the
 * opposite, both along cosines.
 *
 * @throws OptionError  if an option is out of range
 * Source: fastai callback/schedule.py, fit_one_cycle; Smith 2018, arXiv:1803.09820.
 */
export function oneCycle(lrMax: number, options: OneCycleOptions = {}): Cycle {
  checkOptions('oneCycle', options, ONE_CYCLE_KINDS)
  const { div = 25, divFinal = 1e5, pctStart = 0.25, moms = [0.95, 0.85, 0.95] } = options
  checkDescent('oneCycle', { lrMax }, divFinal, pctStart)
  requireRange('oneCycle', { div }, div > 0, 'above 0')
  // `fitOneCycle` passes the option `momentums` of the learner.
  const right = moms.length === 3 && moms.every((momentum) => momentum >= 0 && momentum < 1)
  requireRange(
    'oneCycle',
    { moms },
    right,
    "three numbers, each at least 0 and below 1 (by default the learner's `momentums`)",
  )
  const cosines = (begin: number, middle: number, end: number) =>
    combineSchedules([pctStart, 1 - pctStart], [cosineSchedule(begin, middle), cosineSchedule(middle, end)])
  return { lr: cosines(lrMax / div, lrMax, lrMax / divFinal), momentum: cosines(...moms) }
}

/**
 * Returns a constant learning rate that ends with a cosine descent to lr / divFinal.
 *
 * @param options.pctStart  fraction of the training before the descent. Default 0.75
 * @throws OptionError  if an option is out of range
 * Source: fastai callback/schedule.py, fit_flat_cos.
 */
export function flatCos(
  lr: number,
  options: { readonly divFinal?: number; readonly pctStart?: number } = {},
): Schedule {
  checkOptions('flatCos', options, FLAT_COS_KINDS)
  const { divFinal = 1e5, pctStart = 0.75 } = options
  checkDescent('flatCos', { lr }, divFinal, pctStart)
  return combineSchedules([pctStart, 1 - pctStart], [constantSchedule(lr), cosineSchedule(lr, lr / divFinal)])
}

/** Checks the options of a descent; `rate` is the learning rate under the name of the caller's argument. */
function checkDescent(where: string, rate: Readonly<Record<string, number>>, divFinal: number, pctStart: number): void {
  checkRate(where, rate)
  requireRange(where, { divFinal }, divFinal > 0, 'above 0')
  requireNumber(where, 'pctStart', pctStart, { above: 0, below: 1 })
}

function checkRate(where: string, rate: Readonly<Record<string, number>>): void {
  for (const [name, lr] of Object.entries(rate)) requireNumber(where, name, lr, { from: 0 })
}

/**
 * Returns a schedule with warm restarts: in every cycle the learning rate falls from its maximum to 0 along a cosine, and
 * each cycle is `mult` times as long as the one before.
 *
 * @param cycles  number of cycles
 * @param length  length of the first cycle in epochs
 * @returns  total number of epochs, and the schedule for a maximal learning rate
 * @throws OptionError  if one of these is not a positive integer, or the learning rate is out of range
 * Source: Loshchilov & Hutter 2017, arXiv:1608.03983; fastai callback/schedule.py, fit_sgdr.
 */
export function sgdr(
  cycles: number,
  length: number,
  mult = 2,
): { readonly epochs: number; at(lrMax: number): Schedule } {
  for (const [name, count] of Object.entries({ cycles, length, mult })) requireInteger('sgdr', name, count, { from: 1 })
  const lengths = Array.from({ length: cycles }, (_, i) => length * mult ** i)
  const epochs = lengths.reduce((sum, one) => sum + one, 0)
  const parts = lengths.map((one) => one / epochs)
  const at = (lrMax: number) => {
    checkRate('sgdr', { lrMax })
    return combineSchedules(
      parts,
      lengths.map(() => cosineSchedule(lrMax, 0)),
    )
  }
  return { epochs, at }
}

/**
 * Returns the learning rate of each parameter group: with `start`, geometric from start to stop; without, stop for the last
 * group and a tenth of it for the others. One group always gets `stop`.
 *
 * @throws OptionError  if start is not above 0
 * Source: fastai learner.py, Learner with slice(start, stop); fastcore even_mults.
 */
export function learningRates(range: { readonly start?: number; readonly stop: number }, groups: number): number[] {
  checkOptions('learningRates', range, { start: NUMBER, stop: NUMBER })
  const { start, stop } = range
  if (start !== undefined) requireNumber('learningRates', 'start', start, { above: 0 })
  return Array.from({ length: groups }, (_, i) => {
    if (i === groups - 1) return stop
    return start === undefined ? stop / 10 : start * (stop / start) ** (i / (groups - 1))
  })
}
