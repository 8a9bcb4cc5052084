import { describe, expect, test } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import {
  combineSchedules,
  constantSchedule,
  cosineSchedule,
  exponentialSchedule,
  flatCos,
  learningRates,
  linearSchedule,
  oneCycle,
  polynomialSchedule,
  type Cycle,
  type Schedule,
} from '../../src/optim/schedule.ts'

/** Equal but for the rounding of the local position to f32. */
function expectValue(actual: number, expected: number): void {
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(1e-6 * Math.abs(expected))
}

test('each goes from its start to its end', () => {
  const schedules: [Schedule, number][] = [
    [cosineSchedule(1, 3), 2],
    [linearSchedule(1, 3), 2],
    [exponentialSchedule(1, 4), 2],
    [polynomialSchedule(1, 3, 2), 1.5],
  ]
  for (const [schedule, middle] of schedules) {
    expect(schedule(0)).toBeCloseTo(1, 12)
    expect(schedule(0.5)).toBeCloseTo(middle, 12)
  }
  expect(cosineSchedule(1, 3)(0.25)).toBeCloseTo(2 - Math.SQRT1_2, 12)
  expect(exponentialSchedule(1e-7, 10)(0.5)).toBeCloseTo(1e-3, 12)
  expect(exponentialSchedule(1e-7, 10)(0.99)).toBeCloseTo(8.3176377, 6)
  expect(constantSchedule(7)(0.3)).toBe(7)
})

describe('combineSchedules', () => {
  test('a breakpoint belongs to what comes after it, and the end to the last', () => {
    const schedule = combineSchedules(
      [0.25, 0.5, 0.25],
      [linearSchedule(0, 1), constantSchedule(5), linearSchedule(10, 20)],
    )
    expect([0, 0.125, 0.25, 0.7, 0.75, 1].map(schedule)).toEqual([0, 0.5, 5, 5, 10, 20])
  })

  test('refuses fractions that are not the whole', () => {
    expect(() => combineSchedules([0.5, 0.4], [constantSchedule(1), constantSchedule(2)]))
      .toThrowErrorMatchingInlineSnapshot(`
      [OptionError: combineSchedules: the fractions do not divide the whole among the schedules
        fractions  [0.5,0.4]
        schedules  2
        expected as many positive fractions as schedules, with the sum 1]
    `)
    expect(() => combineSchedules([1], [])).toThrow(OptionError)
    expect(() => combineSchedules([1, 0], [constantSchedule(1), constantSchedule(2)])).toThrow()
  })
})

describe('oneCycle', () => {
  // Five epochs of 167 batches, from fastai.
  const cases: [number, number, number][] = [
    [0, 1.2e-4, 0.95],
    [1, 1.201630689e-4, 0.9499943379],
    [100, 1.465256298e-3, 0.9032897119],
    [208, 2.999908274e-3, 0.8500031849],
    [209, 2.99999882e-3, 0.8500000393],
    [334, 2.713528348e-3, 0.8595491506],
    [500, 1.6642876e-3, 0.8945241919],
    [700, 3.310589711e-4, 0.9389655906],
    [834, 4.887247974e-8, 0.9499993709],
  ]
  test.each(cases)('iteration %i of 835', (iteration, lr, momentum) => {
    const cycle = oneCycle(3e-3)
    expectValue(cycle.lr(iteration / 835), lr)
    expectValue(cycle.momentum(iteration / 835), momentum)
  })

  // fineTune(5, 1e-3): one epoch, then five.
  const freeze = oneCycle(1e-3, { pctStart: 0.99 })
  const then = oneCycle(5e-4, { pctStart: 0.3, div: 5 })
  const tuned: [string, Cycle, number, number | undefined, number | undefined][] = [
    ['frozen, first', freeze, 0, 4e-5, 0.95],
    ['frozen, middle', freeze, 83 / 167, 5.23055507e-4, 0.899681718],
    ['frozen, one before last', freeze, 165 / 167, 9.99990563e-4, undefined],
    ['frozen, last', freeze, 166 / 167, 6.52719297e-4, 0.884728418],
    ['then, epoch 0', then, 0, 1e-4, 0.95],
    ['then, epoch 1', then, 167 / 835, 3.99999978e-4, 0.875],
    ['then, before the top', then, 250 / 835, 4.99996068e-4, undefined],
    ['then, at the top', then, 251 / 835, 4.99999097e-4, undefined],
    ['then, epoch 2', then, 334 / 835, 4.75242467e-4, 0.854951556],
    ['then, last', then, 834 / 835, 8.61093e-9, 0.949999278],
  ]
  test.each(tuned)('fine tuning: %s', (_name, cycle, position, lr, momentum) => {
    if (lr !== undefined) expectValue(cycle.lr(position), lr)
    if (momentum !== undefined) expectValue(cycle.momentum(position), momentum)
  })
})

test('flatCos is constant, then a cosine', () => {
  const schedule = flatCos(8e-3)
  expect(schedule(0)).toBe(8e-3)
  expect(schedule(0.7499)).toBe(8e-3)
  expect(schedule(0.875)).toBeCloseTo((8e-3 + 8e-8) / 2, 12)
  expect(schedule(1)).toBeCloseTo(8e-8, 15)
})

test('learning rates of groups', () => {
  expect(learningRates({ stop: 1e-3 }, 3)).toEqual([1e-4, 1e-4, 1e-3])
  expect(learningRates({ start: 1e-5, stop: 1e-3 }, 3).map((lr) => lr.toPrecision(6))).toEqual([
    '0.0000100000',
    '0.000100000',
    '0.00100000',
  ])
  expect(learningRates({ start: 1e-5, stop: 1e-3 }, 1)).toEqual([1e-3])
  expect(learningRates({ stop: 1e-3 }, 1)).toEqual([1e-3])
  // From 0 no rate rises geometrically: the middle one would be NaN.
  expect(() => learningRates({ start: 0, stop: 1e-3 }, 3)).toThrow('learningRates: start is out of range')
})
