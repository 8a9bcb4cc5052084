import { describe, expect, test } from 'vitest'
import { OptionError } from '../../../src/base/errors.ts'
import {
  minimum,
  searchCurve,
  searchLength,
  searchRates,
  slide,
  steep,
  valley,
  type LrCurve,
} from '../../../src/train/results/lr-suggestions.ts'
import { golden } from '../../helpers/golden.ts'
import { hashUniform } from '../../../src/testing/hash-uniform.ts'

const rates = searchRates(1e-7, 10, 100)
const curveOf = (losses: readonly number[]): LrCurve => ({ lrs: losses.map((_, k) => rates(k)), losses })

test('the learning rate grows by the same factor at every step', () => {
  // Expected numbers: 1e-7·10^(8k/100).
  for (const [k, lr] of [
    [0, 1e-7],
    [1, 1.2022644e-7],
    [50, 1e-3],
    [99, 8.3176377],
  ]) {
    expect(rates(k) / lr).toBeCloseTo(1, 7)
  }
  expect(searchRates(1e-4, 1, 8)(4)).toBeCloseTo(1e-2, 12)
})

describe('a search ends', () => {
  test('after the first loss over four times the lowest so far', () => {
    expect(searchLength([2, 1, 3.9, 4.1, 0.5, 1])).toBe(4)
    expect(searchLength([2, 1, 4, 4])).toBe(4)
    expect(searchLength([1, 3, 0.5, 2.1, 9])).toBe(4)
    expect(searchLength([3, 2, 1])).toBe(3)
    expect(searchLength([])).toBe(0)
  })

  test('not at a loss that is no number, but what follows is cut off', () => {
    const losses = [...new Array<number>(30).fill(1), NaN, 9, 1, 1, 1, 1, 1, 1]
    expect(searchLength(losses)).toBe(32)
    expect(searchCurve(curveOf(losses), 100).losses).toEqual(losses.slice(10, 30))
  })

  test('the first tenth of the steps asked for and the last five made are left out', () => {
    const losses = Array.from({ length: 100 }, (_, k) => 100 - k)
    const { lrs, losses: kept } = searchCurve(curveOf(losses), 100)
    expect(kept).toEqual(losses.slice(10, 95))
    expect(lrs).toEqual(kept.map((_, i) => rates(10 + i)))
    expect(searchCurve(curveOf(losses.slice(0, 40)), 100).losses).toEqual(losses.slice(10, 35))
    expect(searchCurve(curveOf(losses.slice(0, 6)), 6).losses).toEqual([100])
    expect(searchCurve(curveOf([NaN, ...losses.slice(1, 40)]), 100).losses.length).toBe(25)
  })

  test('too early: nothing can be suggested', () => {
    expect(() => searchCurve(curveOf(new Array<number>(15).fill(1)), 100)).toThrowErrorMatchingInlineSnapshot(`
      [OptionError: lrFind: the search ended too early for a suggestion
        steps       100
        steps made  15
        expected more than 15 steps with a loss other than NaN
        Fix: begin with a smaller startLr, or take more steps]
    `)
    expect(() => searchCurve(curveOf(new Array<number>(40).fill(NaN)), 100)).toThrow('ended too early')
    expect(searchCurve(curveOf(new Array<number>(16).fill(1)), 100).losses.length).toBe(1)
  })
})

describe('suggestions', () => {
  const losses = [5, 5, 4.8, 4.5, 4, 3.4, 3, 2.9, 3.5, 6]

  test('on a list that can be followed by hand', () => {
    const at = (index: number) => ({ lr: rates(index), point: { lr: rates(index), loss: losses[index] } })
    expect(valley(curveOf(losses))).toEqual(at(3))
    expect(steep(curveOf(losses))).toEqual(at(4))
    expect(minimum(curveOf(losses))).toEqual({ ...at(7), lr: rates(7) / 10 })
  })

  test('the valley of short lists, and where its beginning would be before the first', () => {
    const index = (...list: number[]) => list.indexOf(valley(curveOf(list)).point.loss)
    expect(index(1)).toBe(0)
    expect(index(1, 2, 3)).toBe(0)
    // fastai's index is -1 here, which in Python is the last.
    expect(index(2, 1)).toBe(1)
    expect(index(3, 2, 1)).toBe(0)
    expect(index(6, 5, 4, 3, 2, 1)).toBe(2)
    expect(index(5, 9, 4, 8, 3, 7, 2)).toBe(3)
  })

  test('slide goes on while the slopes at the ends of its window differ', () => {
    const flatThenSteep = Array.from({ length: 40 }, (_, i) => (i < 30 ? 1 : 1 + (i - 30)))
    // The right end slides from 39 to 30, where the slope is ½; at 29 there is none, as at the left end.
    expect(slide(curveOf(flatThenSteep)).point.lr).toBe(rates(30 - 15))
    // Both ends of a narrow window begin on the slope.
    expect(slide(curveOf(flatThenSteep), { width: 5 }).point.lr).toBe(rates(39 - 5))
    expect(slide(curveOf(flatThenSteep), { threshold: 0.6 }).point.lr).toBe(rates(31 - 15))
    expect(slide(curveOf(new Array<number>(40).fill(1))).point.lr).toBe(rates(24))
    const everSteeper = Array.from({ length: 20 }, (_, i) => i * i)
    expect(slide(curveOf(everSteeper)).point).toEqual({ lr: rates(0), loss: 0 })
  })

  test('where they need more points than there are', () => {
    expect(() => slide(curveOf(new Array<number>(15).fill(1)))).toThrowErrorMatchingInlineSnapshot(`
      [OptionError: lrFind: the search ended too early for 'slide'
        points  15
        expected 16 or more
        Fix: take more steps, or use the rule 'valley']
    `)
    expect(() => steep(curveOf([1]))).toThrow(OptionError)
    expect(slide(curveOf(new Array<number>(16).fill(1))).point.lr).toBe(rates(0))
  })
})

const { cases } = golden<{ cases: [number, number, number, number, number][] }>('lr_find')

test.each(cases)('curve %i: the suggestions of fastai', (seed, ...expected) => {
  const u = hashUniform(4, 500 + seed)
  const n = Math.floor(16 + 80 * u[0])
  const noise = hashUniform(n, seed)
  const losses = Array.from({ length: n }, (_, i) => {
    const x = i / n
    return Math.fround(
      7 - (1 + 4 * u[1]) * x + (1 + 9 * u[2]) * (x * x * x * x) + [0, 0.01, 0.1, 1][seed % 4] * (noise[i] - 0.5),
    )
  })
  const curve = curveOf(losses)
  const index = (lr: number) => curve.lrs.indexOf(lr)
  expect([valley, slide, minimum, steep].map((method) => index(method(curve).point.lr))).toEqual(expected)
})

test('a search that is none is refused', () => {
  for (const [start, end, steps] of [
    [0, 1, 10],
    [1, 1, 10],
    [1, Infinity, 10],
    [1e-7, 1, 5],
    [1e-7, 1, 10.5],
  ]) {
    expect(() => searchRates(start, end, steps)).toThrow(OptionError)
  }
})
