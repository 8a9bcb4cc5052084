import { lineChart, type Line } from '../results/line-chart.ts'
import { shortly } from '../results/draw-plot.ts'
import type { EpochResult, FitFigures, StepFigures } from './figures.ts'
import { percent } from '../../base/format.ts'
import { Html, html } from './html.ts'

type Point = readonly [x: number, y: number]

/**
 * Fraction of a run at its beginning whose losses may exceed the chart: they begin far above the rest, which they would
 * flatten.
 */
const UNSEEN = 0.1

/** Lines of another source for comparison. */
export interface ChartsBeside {
  readonly loss?: readonly Line[]
  readonly accuracy?: readonly Line[]
}

/**
 * Renders loss, accuracy, learning rate and momentum over the epochs of all fits; empty if nothing was trained.
 *
 * @throws OptionError  if the package echarts is not installed
 */
export async function fitCharts(fits: readonly FitFigures[], beside: ChartsBeside = {}): Promise<Html> {
  const steps = (value: (step: StepFigures) => number) => stepPoints(fits, value)
  const epochs = (value: (epoch: EpochResult) => number) =>
    epochPoints(
      fits.map((fit) => fit.epochs),
      value,
    )
  const smooth = steps(({ smoothLoss }) => smoothLoss)
  if (smooth.length === 0) return html``
  const validation = epochs(({ validLoss }) => validLoss)
  const { loss = [], accuracy = [] } = beside
  const seen = [
    ...smooth.slice(Math.floor(UNSEEN * smooth.length)),
    ...validation,
    ...loss.flatMap(({ points }) => points),
  ]
  const x: Point = [0, largest(smooth.map(([at]) => at))]
  const small = { x, height: 150 }
  const charts = await Promise.all([
    lineChart({
      title: 'Loss',
      x,
      y: [undefined, roundedUp(seen.map(([, y]) => y))],
      xName: 'epochs',
      lines: [
        { name: 'each step', look: 'faint', points: steps(({ loss }) => loss) },
        { name: 'training', look: 'first', points: smooth },
        { name: 'validation', look: 'second', points: validation },
        ...loss,
      ],
    }),
    ...metricNames(fits).map((name) =>
      name === 'accuracy'
        ? lineChart({
            title: 'Accuracy',
            x,
            y: [0, 1],
            xName: 'epochs',
            format: (value) => `${Math.round(100 * value)}%`,
            lines: [{ name: 'validation', look: 'second', points: epochs((row) => row.accuracy) }, ...accuracy],
          })
        : lineChart({
            title: name,
            x,
            xName: 'epochs',
            lines: [{ name: 'validation', look: 'second', points: epochs(({ metrics }) => metrics?.[name] ?? NaN) }],
          }),
    ),
    lineChart({
      ...small,
      title: 'Learning rate',
      format: shortly,
      lines: [{ name: 'lr', look: 'first', points: steps(({ lr }) => lr) }],
    }),
    lineChart({
      ...small,
      title: 'Momentum',
      format: (value) => value.toFixed(2),
      lines: [{ name: 'momentum', look: 'first', points: steps(({ momentum }) => momentum) }],
    }),
  ])
  const last = fits.at(-1)?.epochs.at(-1)
  const atEnd = last && Number.isFinite(last.accuracy) ? `, accuracy (${percent(last.accuracy)} at the end)` : ''
  const label = `Loss${atEnd}, learning rate and momentum`
  return html`<div class="charts" role="img" aria-label="${label}">
    ${charts.map((svg) => new Html(`<div class="chart">${svg}</div>`))}
  </div>`
}

/** Returns the names of the metrics of an epoch: those that are reported by name, otherwise the accuracy alone. */
export function metricNames(fits: readonly Pick<FitFigures, 'epochs'>[]): string[] {
  const metrics = fits.flatMap(({ epochs }) => epochs).at(-1)?.metrics
  return metrics ? Object.keys(metrics) : ['accuracy']
}

/** Returns a value of every step over the epochs done by its end, for all fits one after the other. */
function stepPoints(fits: readonly FitFigures[], value: (step: StepFigures) => number): Point[] {
  return fits.flatMap(({ steps, stepsPerEpoch }, i) => {
    const before = fits.slice(0, i).reduce((sum, { epochs }) => sum + epochs.length, 0)
    return steps.map((step): Point => [before + (step.iteration + 1) / stepsPerEpoch, value(step)])
  })
}

/** Returns a value of every epoch, numbered from 1 through all fits. */
export function epochPoints<Row>(fits: readonly (readonly Row[])[], value: (row: Row) => number): Point[] {
  return fits.flat().map((row, i): Point => [i + 1, value(row)])
}

/** Returns a round upper end of an axis for some values. */
function roundedUp(values: readonly number[]): number {
  const top = largest(values.filter(Number.isFinite))
  const step = top > 10 ? 5 : top > 4 ? 2 : top > 2 ? 1 : 0.5
  return Math.ceil(top / step) * step
}

/** Returns the largest of some values, at least 1. A long run has more steps than a call has arguments. */
function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 1)
}
