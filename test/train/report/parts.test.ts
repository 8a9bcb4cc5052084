import { expect, test } from 'vitest'
import { fitCharts } from '../../../src/train/report/charts.ts'
import { confusionMatrix, mostConfused, wrongest } from '../../../src/train/report/parts.ts'

test('a confusion matrix that is too large for a page is left out', () => {
  const of = (size: number) => {
    const classes = Array.from({ length: size }, (_, i) => `c${i}`)
    return confusionMatrix({ classes, counts: classes.map(() => classes.map(() => 1)), pairs: [] }).text
  }
  expect(of(100).match(/<td/g)).toHaveLength(100 * 101)
  expect(of(1000)).not.toContain('<td')
  expect(of(1000)).toContain('That of 1,000 classes is too large')
})

test('a run of many steps has its curves: as many as a call has no arguments', async () => {
  const steps = Array.from({ length: 130_000 }, (_, iteration) => {
    return { iteration, loss: 1, smoothLoss: 1, lr: 1e-3, momentum: 0.9 }
  })
  const epochs = [{ epoch: 0, trainLoss: 1, validLoss: 1, accuracy: 0.5, seconds: 1, imagesPerSecond: 1 }]
  const { text } = await fitCharts([{ steps, epochs, stepsPerEpoch: steps.length }])
  expect(text.match(/<svg/g)).toHaveLength(4)
})

test('a row of the matrix is an actual class: counts, parts of the row, and its recall', () => {
  const { text } = confusionMatrix({
    classes: ['cat', 'dog', 'emu'],
    counts: [
      [3, 1, 0],
      [2, 8, 0],
      [0, 0, 0],
    ],
    pairs: [],
  })
  const rows = [...text.matchAll(/<tr><th scope="row"[^>]*>(.*?)<\/th>([^]*?)<\/tr>/g)]
  const cells = rows.map(([, name, row]) => [
    name,
    ...[...row.matchAll(/class="([^"]*)" style="--share:([^"]*)"\s+title="([^"]*)">/g)].map((part) =>
      part.slice(1).join(),
    ),
    /class="sum">(.*?)</.exec(row)?.[1],
  ])
  expect(cells).toEqual([
    [
      'cat',
      'right,0.750,cat taken for cat: 3',
      ',0.250,cat taken for dog: 1',
      ' none,0.000,cat taken for emu: 0',
      '75%',
    ],
    [
      'dog',
      ',0.200,dog taken for cat: 2',
      'right,0.800,dog taken for dog: 8',
      ' none,0.000,dog taken for emu: 0',
      '80%',
    ],
    [
      'emu',
      ' none,0.000,emu taken for cat: 0',
      ' none,0.000,emu taken for dog: 0',
      'right none,0.000,emu taken for emu: 0',
      '–',
    ],
  ])
})

test('an image that is wrong has what was said, how sure, and what it is', () => {
  const tile = { uri: 'data:,', predicted: 'cat', actual: 'dog', loss: 2.346, probability: 0.81, path: 'a "b".jpg' }
  expect(wrongest([tile]).text.replaceAll(/\s+/g, ' ')).toContain(
    '<img src="data:," alt="dog" title="a &quot;b&quot;.jpg"></div> <span>cat 81%</span><span class="muted">is dog</span> <span class="muted">loss 2.35</span>',
  )
  expect(mostConfused([{ actual: 'dog', predicted: 'cat', count: 7 }]).text.replaceAll(/\s+/g, ' ')).toContain(
    '<b>7</b> dog <span class="muted">taken for</span> cat',
  )
})
