import { beforeEach, expect, test, vi } from 'vitest'
import { fitCharts } from '../../../src/train/report/charts.ts'
import type { LineChartOptions } from '../../../src/train/results/line-chart.ts'

const drawn = vi.hoisted((): LineChartOptions[] => [])
beforeEach(() => void drawn.splice(0))

// What echarts draws is another matter.
vi.mock(import('../../../src/train/results/line-chart.ts'), () => ({
  lineChart: (options: LineChartOptions) => {
    drawn.push(options)
    return Promise.resolve('')
  },
}))

/** Points of all lines that were drawn, by `chart: line`. */
const points = () =>
  Object.fromEntries(
    drawn.flatMap(({ title, lines }) => lines.map(({ name, points }) => [`${title}: ${name}`, points] as const)),
  )

test('steps lie at the epochs that are done by their ends, through all fits, and figures of epochs at whole ones', async () => {
  const step = (iteration: number) => {
    return { iteration, loss: 5 + iteration, smoothLoss: 4 + iteration, lr: 1 + iteration, momentum: iteration / 10 }
  }
  const epoch = (number: number, validLoss: number) => {
    const metrics = { accuracy: validLoss / 10, f1: validLoss / 100 }
    return { epoch: number, trainLoss: 9, validLoss, accuracy: validLoss / 10, metrics, seconds: 1, imagesPerSecond: 1 }
  }
  const { text } = await fitCharts([
    { epochs: [epoch(0, 1), epoch(1, 2)], steps: [0, 1, 2, 3].map(step), stepsPerEpoch: 2 },
    // Interrupted in its second epoch.
    { epochs: [epoch(0, 3)], steps: [0, 1, 2, 3, 4].map(step), stepsPerEpoch: 4 },
  ])
  const places = [0.5, 1, 1.5, 2, 2.25, 2.5, 2.75, 3, 3.25]
  const ofSteps = (first: readonly number[]) => places.map((x, i) => [x, i < 4 ? first[i] : first[i - 4]])
  expect(points()).toEqual({
    'Loss: each step': ofSteps([5, 6, 7, 8, 9]),
    'Loss: training': ofSteps([4, 5, 6, 7, 8]),
    'Loss: validation': [1, 2, 3].map((x) => [x, x]),
    'Accuracy: validation': [1, 2, 3].map((x) => [x, x / 10]),
    'f1: validation': [1, 2, 3].map((x) => [x, x / 100]),
    'Learning rate: lr': ofSteps([1, 2, 3, 4, 5]),
    'Momentum: momentum': ofSteps([0, 0.1, 0.2, 0.3, 0.4]),
  })
  for (const { x } of drawn) expect(x).toEqual([0, 3.25])
  expect(text).toContain('aria-label="Loss, accuracy (30.0% at the end), learning rate and momentum"')
})

test('a run may have hundreds of thousands of steps', async () => {
  const [stepsPerEpoch, count] = [1000, 200_000]
  const step = { loss: 1, smoothLoss: 1, lr: 0.1, momentum: 0.9 }
  const steps = Array.from({ length: count }, (_, iteration) => ({ ...step, iteration }))
  const { text } = await fitCharts([{ epochs: [], steps, stepsPerEpoch }])
  expect(text).toContain('class="chart"')
})
