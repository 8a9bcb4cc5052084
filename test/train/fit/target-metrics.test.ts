import { describe, expect, test } from 'vitest'
import { accuracy } from '../../../src/train/fit/metrics.ts'
import {
  accuracyMulti,
  f1ScoreMulti,
  fBetaMulti,
  mae,
  mse,
  precisionMulti,
  r2Score,
  recallMulti,
  rmse,
  type MultiAverage,
} from '../../../src/train/fit/target-metrics.ts'
import type { Metric } from '../../../src/train/fit/metrics.ts'
import { golden } from '../../helpers/golden.ts'

interface Labels {
  readonly name: string
  readonly columns: number
  readonly targets: readonly number[]
  readonly scores: readonly number[]
  readonly want: Readonly<Record<string, number>>
}

interface Values {
  readonly name: string
  readonly columns: number
  readonly targets: readonly number[]
  readonly predicted: readonly number[]
  readonly want: Readonly<Record<'mse' | 'rmse' | 'mae' | 'r2', number | null>>
}

const { labels, values } = golden<{ labels: readonly Labels[]; values: readonly Values[] }>('multi_metrics')

/** The metric that a name of the golden file means. */
function metricOf(name: string, sigmoid: boolean): Metric {
  const [kind, first] = name.replace(' 0.2', '').split(' ')
  const options = { threshold: name.endsWith('0.2') ? 0.2 : 0.5, sigmoid }
  const average = first as MultiAverage
  switch (kind) {
    case 'accuracy':
      return accuracyMulti(options)
    case 'precision':
      return precisionMulti({ ...options, average })
    case 'recall':
      return recallMulti({ ...options, average })
    case 'f1':
      return f1ScoreMulti({ ...options, average })
    case 'f2':
      return fBetaMulti({ ...options, beta: 2, average })
  }
  throw new Error(`no metric ${name}`)
}

describe.each(labels)('$name, as in scikit-learn', ({ columns, targets, scores, want }) => {
  const given = { rows: targets.length / columns, columns, data: Float32Array.from(scores) }
  // The logit of ½ is 0 exactly, and no other score is near a threshold.
  const logits = { ...given, data: given.data.map((p) => Math.log(p / (1 - p))) }

  test.each(Object.entries(want))('%s', (name, value) => {
    expect(metricOf(name, false)(given, targets)).toBeCloseTo(value, 12)
    expect(metricOf(name, true)(logits, targets)).toBeCloseTo(value, 12)
  })
})

test.each(values)('$name, as in scikit-learn', ({ columns, targets, predicted, want }) => {
  const given = { rows: targets.length / columns, columns, data: Float32Array.from(predicted) }
  for (const [name, metric] of Object.entries({ mse, rmse, mae, r2: r2Score })) {
    const value = want[name as 'mse']
    if (value === null) expect(metric(given, targets), name).toBeNaN()
    else expect(metric(given, targets), name).toBeCloseTo(value, 10)
  }
})

test('a NaN is never right and predicts nothing', () => {
  const given = { rows: 2, columns: 2, data: Float32Array.of(NaN, 0.9, NaN, 0.1) }
  expect(accuracyMulti({ sigmoid: false })(given, [1, 1, 0, 0])).toBe(0.5)
  expect(recallMulti({ sigmoid: false, average: 'micro' })(given, [1, 1, 0, 0])).toBe(0.5)
  expect(mse(given, [1, 1, 0, 0])).toBeNaN()
})

test('metrics of other targets are named', () => {
  const given = { rows: 2, columns: 2, data: Float32Array.of(1, 0, 0, 1) }
  expect(() => accuracyMulti()(given, [1, 0])).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: metric accuracyMulti: targets and predictions differ in number
      predictions  2 × 2
      targets      2
      expected 2 × 2 targets
      Fix: of one class per image the metrics are accuracy, f1Score() and the like]
  `)
  expect(() => accuracy(given, [1, 0, 0, 1])).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: metric: targets and predictions differ in number
      predictions  2
      targets      4
      Fix: for several labels per image use accuracyMulti(), for numbers mae or rmse]
  `)
})

test('names, and what is refused', () => {
  expect(
    [
      accuracyMulti(),
      f1ScoreMulti(),
      f1ScoreMulti({ average: 'micro' }),
      fBetaMulti({ beta: 2 }),
      mse,
      rmse,
      mae,
      r2Score,
    ].map(({ name }) => name),
  ).toEqual(['accuracy_multi', 'f1_multi', 'f1_multi_micro', 'f2_multi', 'mse', 'rmse', 'mae', 'r2_score'])
  expect(() => accuracyMulti({ thresh: 0.3 } as object)).toThrow('write threshold')
  expect(() => f1ScoreMulti({ threshold: 2 })).toThrow('threshold is out of range')
  expect(() => f1ScoreMulti({ average: 'binary' as 'macro' })).toThrow("'samples'")
  expect(() => fBetaMulti({ beta: 0 })).toThrow('beta is out of range')
})
