import { expect, test } from 'vitest'
import { combinePasses } from '../../../src/train/results/tta.ts'

const f = (...values: number[]) => Float32Array.from(values)

test('passes .6 .7 .2 .5 have the mean .5, with a quarter of a plain .9 they give .6, and the largest is .9', () => {
  const passes = [f(0.6), f(0.7), f(0.2), f(0.5)]
  const [[mean], [value], [most]] = ([0, 0.25, 'max'] as const).map((how) => combinePasses(passes, f(0.9), how))
  expect(mean).toBeCloseTo(0.5, 6)
  expect(value).toBeCloseTo(0.6, 6)
  expect(most).toBeCloseTo(0.9, 6)
})

test('beta is the weight of the plain pass', () => {
  expect([...combinePasses([f(1, 0)], f(0, 1), 0)]).toEqual([1, 0])
  expect([...combinePasses([f(1, 0)], f(0, 1), 1)]).toEqual([0, 1])
})

test('or the largest of all', () => {
  expect([...combinePasses([f(0.25, 0), f(0.5, 1)], f(0.75, 0.5), 'max')]).toEqual([0.75, 1])
})
