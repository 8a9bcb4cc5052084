import { describe, expect, test } from 'vitest'
import { OptionError, ShapeError } from '../../../src/base/errors.ts'
import * as train from '../../../src/exports/train.ts'
import * as root from '../../../src/index.ts'
import * as classMetrics from '../../../src/train/fit/class-metrics.ts'
import * as metrics from '../../../src/train/fit/metrics.ts'
import * as targetMetrics from '../../../src/train/fit/target-metrics.ts'
import { golden } from '../../helpers/golden.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { tinyLearner } from '../../helpers/tiny.ts'

await openTestGpu()

type Average = classMetrics.Average
type Metric = metrics.Metric
type Predictions = metrics.Predictions
const { balancedAccuracy, cohenKappa, f1Score, fBeta, matthewsCorrelation, precision, recall, rocAuc } = classMetrics

interface Case {
  readonly name: string
  readonly targets: readonly number[]
  readonly columns: number
  readonly scores: readonly number[]
  readonly want: Readonly<Record<string, number | '-Infinity' | null>>
}

const { cases } = golden<{ cases: readonly Case[] }>('metrics')

const predictions = (...rows: number[][]): Predictions => ({
  rows: rows.length,
  columns: rows[0].length,
  data: Float32Array.from(rows.flat()),
})

/** The metric that a name of the golden file means. */
function metricOf(name: string): Metric {
  const [kind, first, second] = name.split(' ')
  const average = first as Average
  switch (kind) {
    case 'precision':
      return precision({ average })
    case 'recall':
      return recall({ average })
    case 'f1':
      return f1Score({ average })
    case 'f2':
      return fBeta({ beta: 2, average })
    case 'f0.5':
      return fBeta({ beta: 0.5, average })
    case 'balanced':
      return balancedAccuracy({ adjusted: first === 'adjusted' })
    case 'kappa':
      return cohenKappa(first ? { weights: first as 'linear' } : {})
    case 'mcc':
      return matthewsCorrelation()
    case 'auc':
      return first ? rocAuc({ multiClass: first as 'ovr', average: second as 'macro' }) : rocAuc()
  }
  throw new Error(`no metric ${name}`)
}

describe.each(cases)('$name, as in scikit-learn', ({ targets, columns, scores, want }) => {
  const given = { rows: targets.length, columns, data: Float32Array.from(scores) }
  const logits = { ...given, data: given.data.map(Math.log) }
  const empty = new Set(targets).size < columns

  test.each(Object.entries(want))('%s', (name, value) => {
    const got = metricOf(name)(given, targets)
    // Where scikit-learn refuses, classes without items are left out; see below.
    if (value === null && name.startsWith('auc') && empty) return
    if (value === null) expect(got).toBeNaN()
    else if (value === '-Infinity') expect(got).toBe(-Infinity)
    else expect(got).toBeCloseTo(value, 9)
    // Ranks of rounded logarithms are those of the probabilities where all of them are well apart.
    const ofLogits = metricOf(name)(logits, targets)
    if (name.startsWith('auc')) expect(Math.abs(ofLogits - got) < 0.03 || Number.isNaN(got)).toBe(true)
    else expect(ofLogits).toEqual(got)
  })
})

describe('what scikit-learn has no answer to', () => {
  test('the area leaves classes without items out', () => {
    const { targets, columns, scores } = cases.find(({ name }) => name === 'five classes, one without items')!
    const data = Float32Array.from(scores)
    // Pairs of an item of the class and one of another, counted one by one.
    const area = (label: number) => {
      const [own, others] = [true, false].map((is) =>
        [...targets.keys()].filter((row) => (targets[row] === label) === is),
      )
      const at = (row: number) => data[row * columns + label]
      const won = own.flatMap((a) => others.map((b): number => (at(a) > at(b) ? 1 : at(a) === at(b) ? 0.5 : 0)))
      return won.reduce((sum, value) => sum + value, 0) / won.length
    }
    const given = { rows: targets.length, columns, data }
    const mean = [0, 1, 2, 4].map(area).reduce((sum, value) => sum + value, 0) / 4
    expect(rocAuc()(given, targets)).toBeCloseTo(mean, 12)
    expect(rocAuc({ multiClass: 'ovo' })(given, targets)).toBeGreaterThan(0.5)
  })

  test('the area of one class is NaN', () => {
    expect(rocAuc()(predictions([0.5, 0.5], [0.2, 0.8]), [1, 1])).toBeNaN()
    for (const average of ['macro', 'weighted', 'micro'] as const) {
      expect(rocAuc({ average })(predictions([0.5, 0.3, 0.2], [0.2, 0.6, 0.2]), [1, 1])).toBeNaN()
    }
  })

  test('outputs that add up to 1 are no probabilities where one is negative', () => {
    // Of class 1 the softmax is larger in the first row, and the output in the second.
    const rows = [
      [0.9, 1.1, -1],
      [-2.2, 1.2, 2],
    ]
    const softmax = rows.map((row) => {
      const sum = row.reduce((total, value) => total + Math.exp(value), 0)
      return row.map((value) => Math.exp(value) / sum)
    })
    expect(rocAuc()(predictions(...rows), [1, 0])).toBe(rocAuc()(predictions(...softmax), [1, 0]))
    expect(rocAuc()(predictions(...rows), [1, 0])).toBe(0.5)
  })

  test('a prediction of NaN is never right', () => {
    const given = predictions([NaN, 1], [2, 1], [0, NaN], [0, 3])
    const targets = [0, 0, 1, 1]
    expect(recall({ average: 'macro' })(given, targets)).toBe(0.5)
    expect(precision({ average: 'macro' })(given, targets)).toBe(1)
    expect(precision({ average: 'micro' })(given, targets)).toBe(1)
    expect(balancedAccuracy()(given, targets)).toBe(0.5)
    expect(rocAuc()(given, targets)).toBeNaN()
    // Two right of four, and none by chance that is not in the class of NaN.
    expect(cohenKappa()(given, targets)).toBeCloseTo(1 - 0.5 / 0.75, 12)
    expect(matthewsCorrelation()(given, targets)).toBeGreaterThan(0)
  })

  test('no items give NaN', () => {
    const none = { rows: 0, columns: 3, data: new Float32Array() }
    for (const metric of [precision(), balancedAccuracy(), cohenKappa(), rocAuc()]) expect(metric(none, [])).toBeNaN()
  })
})

test('the area of outputs is that of their softmax', () => {
  // The raw outputs of column 1 rank the items the other way round.
  expect(rocAuc()(predictions([5, 4], [0, 1]), [0, 1])).toBe(1)
  expect(rocAuc()(predictions([9, 8, 0], [-1, 1, -1], [0, 0, 4]), [0, 1, 2])).toBe(1)
})

describe('averages', () => {
  const two = predictions([0.9, 0.1], [0.2, 0.8], [0.4, 0.6])
  const three = predictions([0.9, 0.1, 0], [0.2, 0.7, 0.1], [0.4, 0.6, 0])

  test('by default class 1 of two, the mean of more', () => {
    expect(precision()(two, [0, 1, 0])).toBe(0.5)
    expect(precision({ positive: 0 })(two, [0, 1, 0])).toBe(1)
    expect(precision()(three, [0, 1, 0])).toBe(0.75)
  })

  test('binary of three classes is refused', () => {
    const f = () => recall({ average: 'binary' })(three, [0, 1, 2])
    expect(f).toThrowErrorMatchingInlineSnapshot(`
      [OptionError: recall: average 'binary' is of two classes
        classes  [0,1,2]
        Fix: choose 'macro', 'weighted' or 'micro']
    `)
  })

  test('a class of its own is rated, or refused, and never left out', () => {
    // The mean over three classes would say nothing of the class that is asked for.
    expect(() => f1Score({ positive: 2 })(three, [0, 1, 2])).toThrow("f1: average 'binary' is of two classes")
    expect(() => recall({ average: 'macro', positive: 0 })).toThrowErrorMatchingInlineSnapshot(`
      [OptionError: recall: average 'macro' is that of all classes
        average   macro
        positive  0
        Fix: leave positive out, or choose 'binary']
    `)
    expect(() => precision({ positive: 0.5 })).toThrow('expected a whole number from 0 on')
    expect(precision({ average: 'binary', positive: 0 })(two, [0, 1, 0])).toBe(1)
  })

  test('have names of their own, so that several can be columns of one table', () => {
    const names = [
      precision(),
      recall({ average: 'micro' }),
      fBeta({ beta: 2 }),
      f1Score(),
      cohenKappa({ weights: 'linear' }),
    ]
    expect(names.map(({ name }) => name)).toEqual(['precision', 'recall_micro', 'f2', 'f1', 'kappa_linear'])
  })

  test('options out of range are refused', () => {
    expect(() => precision({ average: 'makro' as 'macro' })).toThrow(
      "expected 'binary', 'macro', 'weighted' or 'micro'",
    )
    expect(() => precision({ averages: 'macro' } as object)).toThrow('Fix: write average')
    expect(() => fBeta({ beta: 0 })).toThrow(OptionError)
    expect(() => rocAuc({ average: 'micro', multiClass: 'ovo' })).toThrow("there is no 'micro' average")
    expect(() => precision()(two, [0])).toThrow(ShapeError)
  })
})

test('all of them are columns of the table of epochs', async () => {
  const metrics = [
    precision(),
    recall(),
    fBeta({ beta: 2 }),
    f1Score(),
    balancedAccuracy(),
    rocAuc(),
    cohenKappa({ weights: 'quadratic' }),
    matthewsCorrelation(),
  ]
  const { learner } = await tinyLearner({ metrics })
  await learner.fit(1)
  const { predictions: probabilities, targets } = await learner.getPredictions()
  const { metrics: values } = await learner.validate()
  expect(Object.keys(values)).toEqual([
    'precision',
    'recall',
    'f2',
    'f1',
    'balanced_accuracy',
    'roc_auc',
    'kappa_quadratic',
    'mcc',
  ])
  // The same of probabilities as of outputs.
  for (const metric of metrics) expect(metric(probabilities, targets)).toBeCloseTo(values[metric.name], 6)
})

// A metric itself has two parameters; a function that makes one needs none.
const factories = Object.entries({ ...metrics, ...classMetrics, ...targetMetrics } as Record<string, unknown>).filter(
  ([name, value]) => (name in root || name in train) && typeof value === 'function' && value.length === 0,
)
test.each(factories)('%s that was not called is refused before a fit', async (name, factory) => {
  await expect(tinyLearner({ metrics: [factory as Metric] })).rejects.toThrow(`call it: ${name}()`)
})

test('agreement of tens of thousands of classes takes no matrix of them', () => {
  const rows = 30_000
  // Every image has a class of its own; half are taken for class 0 and half for class 1.
  const data = Float32Array.from({ length: 2 * rows }, (_, i) => Number(i % 4 === 0 || i % 4 === 3))
  const targets = Uint32Array.from({ length: rows }, (_, row) => row)
  const right = 2
  const expected = (right * rows - rows) / Math.sqrt((rows ** 2 - rows ** 2 / 2) * (rows ** 2 - rows))
  expect(matthewsCorrelation()({ rows, columns: 2, data }, targets)).toBeCloseTo(expected, 12)
})

test('the area under the curve is that of all pairs of items, equal scores counting half', () => {
  const [rows, columns] = [300, 5]
  // Few different numbers, so that many are equal; rows of probabilities.
  const data = new Float32Array(rows * columns)
  const targets = Uint32Array.from({ length: rows }, (_, row) => (row * row + 3 * row) % 5)
  for (let row = 0; row < rows; row++) {
    const own = Array.from({ length: columns }, (_, k) => 1 + ((row * 7 + k * 11 + (targets[row] === k ? 3 : 0)) % 6))
    const sum = own.reduce((a, b) => a + b, 0)
    own.forEach((value, k) => (data[row * columns + k] = value / sum))
  }
  const items = [...targets.keys()]
  const area = (label: number, among: readonly number[]) => {
    const [own, others] = [true, false].map((side) => among.filter((row) => (targets[row] === label) === side))
    const wins = own.flatMap((a) =>
      others.map((b) => {
        const difference = data[a * columns + label] - data[b * columns + label]
        return difference > 0 ? 1 : difference === 0 ? 0.5 : 0
      }),
    )
    return wins.reduce((sum: number, win) => sum + win, 0) / wins.length
  }
  const classes = [...new Set(targets)].sort((a, b) => a - b)
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const given = { rows, columns, data }
  expect(rocAuc()(given, targets)).toBeCloseTo(mean(classes.map((label) => area(label, items))), 12)
  const pairs = classes.flatMap((a) => classes.filter((b) => b > a).map((b) => [a, b] as const))
  const ofPair = ([a, b]: readonly [number, number]) => {
    const both = items.filter((row) => targets[row] === a || targets[row] === b)
    return (area(a, both) + area(b, both)) / 2
  }
  expect(rocAuc({ multiClass: 'ovo' })(given, targets)).toBeCloseTo(mean(pairs.map(ofPair)), 12)
})
