import { describe, expect, test } from 'vitest'
import { OptionError, ShapeError } from '../../../src/base/errors.ts'
import { accuracy, argmax, errorRate, topKAccuracy, type Predictions } from '../../../src/train/fit/metrics.ts'

const predictions = (...rows: number[][]): Predictions => ({
  rows: rows.length,
  columns: rows[0].length,
  data: Float32Array.from(rows.flat()),
})

const some = predictions([0.1, 0.7, 0.2], [3, 2, 1], [-1, -2, -0.5], [1, 1, 0])

describe('metrics', () => {
  test('accuracy counts rows whose largest number is the target; the first of equal ones', () => {
    expect(argmax(some)).toEqual(Uint32Array.of(1, 0, 2, 0))
    expect(accuracy(some, [1, 0, 2, 0])).toBe(1)
    expect(accuracy(some, [1, 0, 2, 1])).toBe(0.75)
    expect(accuracy(some, Uint32Array.of(0, 1, 0, 1))).toBe(0)
    expect(errorRate(some, [1, 0, 2, 1])).toBe(0.25)
  })

  test('top k', () => {
    expect(topKAccuracy(2)(some, [2, 1, 0, 1])).toBe(1)
    expect(topKAccuracy(2)(some, [0, 2, 1, 2])).toBe(0)
    expect(topKAccuracy(1)(some, [1, 0, 2, 1])).toBe(accuracy(some, [1, 0, 2, 1]))
    expect(topKAccuracy(5)(some, [0, 2, 1, 2])).toBe(1)
    expect(() => topKAccuracy(0)).toThrow(OptionError)
  })

  test('a NaN is larger than every number, and never right', () => {
    const broken = predictions([NaN, 0, 9], [9, 0, NaN], [1, NaN, NaN], [NaN, NaN, NaN])
    expect(argmax(broken)).toEqual(Uint32Array.of(0, 2, 1, 0))
    expect(accuracy(broken, [0, 2, 1, 0])).toBe(0)
    expect(accuracy(broken, [2, 0, 0, 0])).toBe(0)
    expect(topKAccuracy(2)(broken, [0, 0, 0, 0])).toBe(0.25)
    expect(topKAccuracy(3)(broken, [0, 2, 1, 0])).toBe(0)
  })

  test('are named as in fastai', () => {
    expect([accuracy, errorRate, topKAccuracy()].map(({ name }) => name)).toEqual([
      'accuracy',
      'error_rate',
      'top_5_accuracy',
    ])
  })

  test('as many targets as predictions', () => {
    expect(() => accuracy(some, [1])).toThrow(ShapeError)
  })
})
