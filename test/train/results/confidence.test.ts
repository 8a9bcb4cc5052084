import { expect, test } from 'vitest'
import { wilsonInterval } from '../../../src/train/results/confidence.ts'

/** Quantile of the standard normal distribution for 95%. */
const Z = 1.959964

test('the ends are where the observed part is just as far from the true one as 95% of samples are', () => {
  for (const [right, n] of [
    [0, 10],
    [1, 3],
    [5, 10],
    [28, 30],
    [30, 30],
    [900, 1000],
  ] as const) {
    const ends = wilsonInterval(right, n)
    expect(ends[0]).toBeLessThanOrEqual(right / n)
    expect(ends[1]).toBeGreaterThanOrEqual(right / n)
    // Wilson's definition, of which the function has the solution: (right/n − p)² = z² p (1 − p) / n
    for (const p of ends) expect((right / n - p) ** 2).toBeCloseTo((Z * Z * p * (1 - p)) / n, 10)
  }
  expect(wilsonInterval(0, 10)[0]).toBe(0)
  expect(wilsonInterval(0, 0)).toEqual([0, 1])
})
