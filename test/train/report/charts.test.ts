import { expect, test, vi } from 'vitest'
import { fitCharts } from '../../../src/train/report/charts.ts'

// What echarts draws is another matter.
vi.mock(import('../../../src/train/results/line-chart.ts'), () => ({ lineChart: () => Promise.resolve('') }))

test('a run may have hundreds of thousands of steps', async () => {
  const [stepsPerEpoch, count] = [1000, 200_000]
  const step = { loss: 1, smoothLoss: 1, lr: 0.1, momentum: 0.9 }
  const steps = Array.from({ length: count }, (_, iteration) => ({ ...step, iteration }))
  const { text } = await fitCharts([{ epochs: [], steps, stepsPerEpoch }])
  expect(text).toContain('class="chart"')
})
