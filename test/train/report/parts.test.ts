import { expect, test } from 'vitest'
import { fitCharts } from '../../../src/train/report/charts.ts'
import { confusionMatrix } from '../../../src/train/report/parts.ts'

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
