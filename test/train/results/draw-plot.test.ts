import { beforeEach, expect, test, vi } from 'vitest'
import { drawLoss, drawLrFind, drawMetrics, drawTraining } from '../../../src/train/results/draw-plot.ts'
import type { LineChartOptions } from '../../../src/train/results/line-chart.ts'

const drawn = vi.hoisted((): LineChartOptions[] => [])
beforeEach(() => void drawn.splice(0))

// Where the points lie; what echarts makes of them is another matter.
vi.mock(import('../../../src/train/results/line-chart.ts'), () => ({
  lineChart: (options: LineChartOptions) => {
    drawn.push(options)
    return Promise.resolve(`<${options.title}>`)
  },
}))

/** Points of all lines that were drawn, by `chart: line`. */
const points = () =>
  Object.fromEntries(
    drawn.flatMap(({ title, lines }) => lines.map(({ name, points }) => [`${title}: ${name}`, points] as const)),
  )

const row = (epoch: number) => ({
  epoch,
  trainLoss: 10 + epoch,
  validLoss: 20 + epoch,
  metrics: { accuracy: 30 + epoch, f1: 40 + epoch },
  timeMs: 1,
  imagesPerSecond: 1,
})

/** Figures of steps that differ from each other and from their numbers. */
const steps = (count: number, of: number) => Array.from({ length: count }, (_, i) => of + i / 100)
const numbered = (values: readonly number[], first = 1) => values.map((value, i) => [first + i, value])

const history = (count: number, epochs: number) => ({
  rows: Array.from({ length: epochs }, (_, i) => row(i)),
  history: [],
  rawLosses: steps(count, 1),
  losses: steps(count, 2),
  lrs: steps(count, 3),
  momentums: steps(count, 4),
  smoothLoss: 0,
  stepsPerEpoch: 8,
})

test('the first losses are left out where there are many, and every figure keeps the number of its step', async () => {
  const svg = await drawTraining(history(12, 1))
  expect(points()).toEqual({
    'Loss: each step': numbered(steps(12, 1)).slice(5),
    'Loss: smoothed': numbered(steps(12, 2)).slice(5),
    'Learning rate: lr': numbered(steps(12, 3)),
    'Momentum: momentum': numbered(steps(12, 4)),
  })
  // One below the other, as high as they are.
  const tops = [...svg.matchAll(/translate\(12 (\d+)\)">\n<([^>]*)>/g)].map(([, top, title]) => [title, Number(top)])
  expect(tops).toEqual([
    ['Loss', 12],
    ['Learning rate', 324],
    ['Momentum', 496],
  ])
  expect(svg).toMatch(/ height="668" viewBox="0 0 664 668"/)
})

test('validation is marked at the end of its epoch, also where the next one was interrupted', async () => {
  await drawLoss(history(20, 2))
  expect(points()).toEqual({
    'Loss: training': numbered(steps(20, 2)).slice(5),
    'Loss: validation': [
      [8, 20],
      [16, 21],
    ],
  })
})

test('each metric over the epochs of all fits, which are numbered from 1', async () => {
  await drawMetrics({ history: [0, 1, 0].map(row) })
  const ofEpochs = (first: number) => numbered([first, first + 1, first])
  expect(points()).toEqual({
    'Loss: training': ofEpochs(10),
    'Loss: validation': ofEpochs(20),
    'accuracy: accuracy': ofEpochs(30),
    'f1: f1': ofEpochs(40),
  })
})

test('the loss of each learning rate, and a suggestion at the point that it derives from', async () => {
  const [lrs, losses] = [
    [1, 2, 3, 4],
    [9, 8, 7, 6],
  ]
  await drawLrFind({ lrs, losses, suggestions: { minimum: { lr: 0.4, point: { lr: 4, loss: 6 } } } }, { skipEnd: 1 })
  expect(points()).toEqual({
    'Loss: loss': [
      [1, 9],
      [2, 8],
      [3, 7],
    ],
    'Loss: minimum 4.0e-1': [[4, 6]],
  })
})
