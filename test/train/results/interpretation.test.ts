import { describe, expect, test } from 'vitest'
import { OptionError } from '../../../src/base/errors.ts'
import { multiCategoryTarget } from '../../../src/data/targets.ts'
import { accuracy } from '../../../src/train/fit/metrics.ts'
import { ClassificationInterpretation } from '../../../src/train/results/interpretation.ts'
import { TargetInterpretation } from '../../../src/train/results/target-interpretation.ts'
import { golden } from '../../helpers/golden.ts'
import { hashUniform } from '../../../src/testing/hash-uniform.ts'

/** Probabilities with the largest at the predicted class. */
function interpret(
  targets: readonly number[],
  predicted: readonly number[],
  vocab: readonly string[],
  losses: readonly number[] = targets.map(() => 1),
  columns = vocab.length,
) {
  const data = new Float32Array(targets.length * columns).fill(0.125)
  predicted.forEach((label, row) => (data[row * columns + label] = 0.5 + row / 16))
  return new ClassificationInterpretation(
    {
      predictions: { rows: targets.length, columns, data },
      targets: Uint32Array.from(targets),
      losses: Float32Array.from(losses),
      items: Uint32Array.from(targets, (_, i) => 100 + i),
    },
    vocab,
  )
}

const vocab = ['church', 'golf', 'tench']

describe('the confusion matrix', () => {
  test('has a row for what it is, a column for what was said', () => {
    expect(interpret([0, 0, 1, 2, 2, 2], [0, 1, 1, 0, 0, 2], vocab).confusionMatrix()).toEqual([
      [1, 1, 0],
      [0, 1, 0],
      [2, 0, 1],
    ])
  })

  test('leaves out what was said beyond the vocabulary', () => {
    expect(interpret([0, 1, 1], [0, 4, 1], vocab, [1, 1, 1], 5).confusionMatrix()).toEqual([
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 0],
    ])
  })
})

describe('most confused', () => {
  const confused = interpret([0, 0, 1, 1, 1, 2, 2, 2, 1], [1, 1, 0, 2, 2, 1, 2, 0, 1], vocab)

  test('the most frequent first, equals in the order of the vocabulary', () => {
    expect(confused.mostConfused()).toEqual([
      { actual: 'church', predicted: 'golf', count: 2 },
      { actual: 'golf', predicted: 'tench', count: 2 },
      { actual: 'golf', predicted: 'church', count: 1 },
      { actual: 'tench', predicted: 'church', count: 1 },
      { actual: 'tench', predicted: 'golf', count: 1 },
    ])
    expect(confused.mostConfused(2).map(({ count }) => count)).toEqual([2, 2])
    expect(confused.mostConfused(3)).toEqual([])
  })

  test('of ten thousand classes, and the report of more than a call has room for', () => {
    const many = Array.from({ length: 10_000 }, (_, i) => `class ${i}`)
    const confused = interpret([9999, 5, 9999, 7], [3, 5, 3, 9999], many)
    expect(confused.mostConfused()).toEqual([
      { actual: 'class 9999', predicted: 'class 3', count: 2 },
      { actual: 'class 7', predicted: 'class 9999', count: 1 },
    ])
    const lines = confused.classificationReport().split('\n')
    expect(lines).toHaveLength(10_004)
    expect(lines.find((line) => line.startsWith('class 5 '))?.split(/ +/)).toEqual([
      'class',
      '5',
      '1.00',
      '1.00',
      '1.00',
      '1',
    ])
    const most = interpret(
      [0],
      [0],
      Array.from({ length: 150_000 }, (_, i) => `${i}`),
    )
    expect(most.classificationReport().length).toBeGreaterThan(150_000)
    expect(most.accuracy()).toMatchObject({ accuracy: 1, baseline: 1 })
  })

  test('nothing happens less often than once', () => {
    expect(() => confused.mostConfused(0)).toThrow(OptionError)
  })
})

describe('top losses', () => {
  const losses = [0.5, 3, 0.25, 3, 9]
  const wrong = interpret([0, 1, 2, 0, 1], [0, 2, 2, 1, 4], vocab, losses, 5)

  test('the largest first, with what was said and how sure', () => {
    expect(wrong.topLosses(3)).toEqual([
      { item: 104, actual: 'golf', predicted: 'output 4', probability: 0.75, loss: 9 },
      { item: 101, actual: 'golf', predicted: 'tench', probability: 0.5625, loss: 3 },
      { item: 103, actual: 'church', predicted: 'golf', probability: 0.6875, loss: 3 },
    ])
    expect(wrong.topLosses().map(({ loss }) => loss)).toEqual([9, 3, 3, 0.5, 0.25])
  })

  test('the smallest first, if asked for', () => {
    expect(wrong.topLosses(2, { largest: false }).map(({ item }) => item)).toEqual([102, 100])
  })

  test('a number of items that is none is refused', () => {
    expect(() => wrong.topLosses(-1)).toThrow(OptionError)
    expect(wrong.topLosses(0)).toEqual([])
  })

  test('a loss that is no number is the largest', () => {
    const broken = interpret([0, 1, 2], [0, 1, 2], vocab, [1, NaN, 2])
    expect(broken.topLosses().map(({ item }) => item)).toEqual([101, 102, 100])
    expect(broken.topLosses(1, { largest: false })[0].item).toBe(100)
  })
})

test('predictions that are no numbers are of no class, and never right', () => {
  const data = Float32Array.of(NaN, NaN, NaN, 0.1, 0.8, 0.1, NaN, 0.5, 0.5, 0.2, 0.2, 0.6)
  const results = {
    predictions: { rows: 4, columns: 3, data },
    targets: Uint32Array.of(0, 1, 0, 0),
    losses: Float32Array.of(NaN, 0.1, NaN, 0.5),
    items: Uint32Array.of(0, 1, 2, 3),
  }
  const found = new ClassificationInterpretation(results, vocab)
  expect(found.accuracy()).toMatchObject({ right: 1, accuracy: accuracy(results.predictions, results.targets) })
  expect(found.confusionMatrix()).toEqual([
    [0, 0, 1],
    [0, 1, 0],
    [0, 0, 0],
  ])
  expect(found.classScores()[0]).toMatchObject({ right: 0, predicted: 0, support: 3 })
  expect(found.topLosses(2).map(({ item, predicted, probability }) => [item, predicted, probability])).toEqual([
    [0, 'not a number', NaN],
    [2, 'not a number', NaN],
  ])
})

test('several labels that are no numbers are not all right, also where there should be none', () => {
  const results = {
    predictions: { rows: 2, columns: 2, data: Float32Array.of(NaN, NaN, 0.1, 0.1) },
    targets: new Float32Array(4),
    losses: Float32Array.of(NaN, 0.1),
    items: Uint32Array.of(0, 1),
  }
  expect(new TargetInterpretation(results, multiCategoryTarget(['a', 'b'])).scores()).toMatchObject({
    exact: 0.5,
    accuracy: 0.5,
  })
})

interface Case {
  readonly seed: number
  readonly items: number
  readonly outputs: number
  readonly vocab: string[]
  readonly matrix: number[][]
  readonly report: string[]
}

const { cases } = golden<{ readonly cases: readonly Case[] }>('interpretation')

test.each(cases)(
  'matrix and report are those of scikit-learn, case $seed',
  ({ seed, items, outputs, vocab: names, matrix, report }) => {
    const [u, v] = [hashUniform(items, 2 * seed), hashUniform(items, 2 * seed + 1)]
    const targets = Array.from(u, (value) => Math.floor(names.length * value * value))
    const predicted = Array.from(v, (value, i) =>
      value < 0.6 ? targets[i] : Math.floor(outputs * ((value - 0.6) / 0.4)),
    )
    const interpretation = interpret(targets, predicted, names, targets, outputs)
    expect(interpretation.confusionMatrix()).toEqual(matrix)
    const cells = (lines: readonly string[]) =>
      lines.filter((line) => line.trim() !== '').map((line) => line.trim().split(/ {2,}/))
    expect(cells(interpretation.classificationReport().split('\n'))).toEqual(cells(report))
  },
)

test('the report as it is read', () => {
  expect(`\n${interpret([0, 0, 1, 2], [0, 1, 1, 2], vocab).classificationReport()}\n`).toMatchInlineSnapshot(`
    "
                  precision  recall  f1-score  support
    church             1.00    0.50      0.67        2
    golf               0.50    1.00      0.67        1
    tench              1.00    1.00      1.00        1
    accuracy                             0.75        4
    macro avg          0.83    0.83      0.78        4
    weighted avg       0.88    0.75      0.75        4
    "
  `)
})

describe('the accuracy', () => {
  test('has its interval, and what the most frequent class alone reaches', () => {
    const { interval, ...rest } = interpret([0, 0, 1, 2, 2, 2], [0, 1, 1, 0, 0, 0], vocab).accuracy()
    expect(rest).toEqual({ count: 6, right: 2, accuracy: 1 / 3, baseline: 0.5 })
    // Wilson 1927 for 2 of 6.
    expect(interval).toEqual([expect.closeTo(0.0968, 4), expect.closeTo(0.7, 4)])
  })
})

describe('the plot of the confusion matrix', () => {
  const confused = interpret([0, 0, 1, 2, 2, 2], [0, 1, 1, 0, 0, 2], ['a & b', 'golf', 'tench'])

  test('has every count but zeros, names once for each side, and a part of color for the part of a row', async () => {
    const svg = await confused.plotConfusionMatrix({ title: 'Mine' })
    expect([...svg.matchAll(/central">(\d+)<\/text>/g)].map(([, count]) => count)).toEqual(['1', '1', '1', '2', '1'])
    expect(svg.match(/>a &amp; b</g)).toHaveLength(2)
    expect(svg).toContain('>Mine<')
    expect(svg).toContain('<title>tench taken for a &amp; b: 2</title>')
    expect(svg).toContain('fill-opacity="0.400"')
  })

  test('has a row of cells beside the name of what it is, a column below the name of what was said', async () => {
    const svg = await confused.plotConfusionMatrix()
    const cells = svg.matchAll(
      /<rect x="(\d+)" y="(\d+)"[^>]*fill="var\(--chart-(\w+)[^>]*><title>(.*) taken for (.*): \d+</g,
    )
    const rows = new Map(
      [...svg.matchAll(/<text x="\d+" y="(\d+)" text-anchor="end"[^>]*>([^<]*)</g)].map(([, y, name]) => [
        name,
        Number(y),
      ]),
    )
    const columns = new Map(
      [...svg.matchAll(/<text transform="translate\((\d+) [^>]*central">([^<]*)</g)].map(([, x, name]) => [
        name,
        Number(x),
      ]),
    )
    let count = 0
    for (const [, x, y, color, actual, predicted] of cells) {
      // From the corner of a cell to its middle.
      expect([Number(x) + 16, Number(y) + 16]).toEqual([columns.get(predicted), rows.get(actual)])
      expect(color).toBe(actual === predicted ? 'first' : 'second')
      count++
    }
    expect(count).toBe(9)
    // The words of the axes: above the columns, and upright beside the rows.
    expect(svg).toMatch(/<text class="axis" x="\d+" y="\d+" text-anchor="middle">predicted</)
    expect(svg).toMatch(/<text class="axis" transform="[^"]* rotate\(-90\)" text-anchor="middle">actual</)
  })

  test('has parts of rows where asked to', async () => {
    const svg = await confused.plotConfusionMatrix({ normalize: true })
    expect([...svg.matchAll(/central">(\d\.\d+)<\/text>/g)].map(([, share]) => share)).toEqual([
      ...['0.50', '0.50', '1.00', '0.67', '0.33'],
    ])
    await expect(confused.plotConfusionMatrix({ norm: true } as object)).rejects.toThrow("there is no option 'norm'")
  })

  test('is refused for so many classes that no text could hold them', async () => {
    const vocab = Array.from({ length: 30_000 }, (_, i) => `class ${i}`)
    const one = { rows: 1, columns: 2, data: Float32Array.of(1, 0) }
    const results = {
      predictions: one,
      targets: Uint32Array.of(1),
      losses: Float32Array.of(9),
      items: Uint32Array.of(0),
    }
    const many = new ClassificationInterpretation(results, vocab)
    await expect(many.plotConfusionMatrix()).rejects.toThrow('there are too many classes for a plot')
  })
})

test('the largest losses name their files where the paths are given', () => {
  const paths = Array.from({ length: 103 }, (_, i) => `${i}.png`)
  const top = interpret([0, 1, 2], [0, 1, 1], vocab, [1, 3, 2]).topLosses(2, { paths })
  expect(top.map(({ item, path }) => [item, path])).toEqual([
    [101, '101.png'],
    [102, '102.png'],
  ])
})
