import { lineChart, type Line } from '../../../src/train/results/line-chart.ts'
import { shortly } from '../../../src/train/results/plot.ts'
import { NOTEBOOK, type NotebookRow } from '../notebook.ts'
import type { Section } from '../options.ts'
import type { EpochResult, FitResult, ReportedSection, StepResult } from '../results.ts'
import { percent } from './format.ts'
import { Html, html } from './html.ts'

type Point = readonly [x: number, y: number]

/**
 * Fraction of a section at its beginning whose losses may exceed the chart: they begin at ln 1000 and would flatten the
 * rest.
 */
const UNSEEN = 0.1

/** Renders loss, accuracy, learning rate and momentum of a section over its epochs; empty if nothing was trained. */
export async function sectionCharts({ name, fits }: ReportedSection): Promise<Html> {
  const steps = (value: (step: StepResult) => number) => stepPoints(fits, value)
  const epochs = (value: (epoch: EpochResult) => number) =>
    epochPoints(
      fits.map((fit) => fit.epochs),
      value,
    )
  const smooth = steps(({ smoothLoss }) => smoothLoss)
  if (smooth.length === 0) return html``
  const validation = epochs(({ validLoss }) => validLoss)
  const theirLoss = notebookLine(name, fits, ({ validLoss }) => validLoss)
  const theirAccuracy = notebookLine(name, fits, ({ accuracy }) => accuracy)
  const seen = [
    ...smooth.slice(Math.floor(UNSEEN * smooth.length)),
    ...validation,
    ...theirLoss.flatMap(({ points }) => points),
  ]
  const x: Point = [0, Math.max(1, ...smooth.map(([at]) => at))]
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
        ...theirLoss,
      ],
    }),
    lineChart({
      title: 'Accuracy',
      x,
      y: [0, 1],
      xName: 'epochs',
      format: (value) => `${Math.round(100 * value)}%`,
      lines: [{ name: 'validation', look: 'second', points: epochs(({ accuracy }) => accuracy) }, ...theirAccuracy],
    }),
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
  const label = `Loss, accuracy (${percent(last?.accuracy ?? NaN)} at the end), learning rate and momentum`
  return html`<div class="charts" role="img" aria-label="${label}">
    ${charts.map((svg) => new Html(`<div class="chart">${svg}</div>`))}
  </div>`
}

/** Returns a value of every step over the epochs done by its end, for all fits one after the other. */
function stepPoints(fits: readonly FitResult[], value: (step: StepResult) => number): Point[] {
  return fits.flatMap(({ steps, stepsPerEpoch }, i) => {
    const before = fits.slice(0, i).reduce((sum, { epochs }) => sum + epochs.length, 0)
    return steps.map((step): Point => [before + (step.iteration + 1) / stepsPerEpoch, value(step)])
  })
}

function epochPoints<Row>(fits: readonly (readonly Row[])[], value: (row: Row) => number): Point[] {
  return fits.flat().map((row, i): Point => [i + 1, value(row)])
}

/**
 * Returns the notebook's values if both runs have the same number of epochs: in the middle of a cycle a value says
 * nothing about its end.
 */
function notebookLine(name: string, fits: readonly FitResult[], value: (row: NotebookRow) => number): Line[] {
  const theirs = NOTEBOOK[name as Section].fits
  const comparable = theirs.length === fits.length && theirs.every((rows, i) => rows.length === fits[i].epochs.length)
  return comparable ? [{ name: 'notebook', look: 'other', points: epochPoints(theirs, value) }] : []
}

/** Returns a round upper end of an axis for some values. */
function roundedUp(values: readonly number[]): number {
  const largest = Math.max(1, ...values.filter(Number.isFinite))
  const step = largest > 10 ? 5 : largest > 4 ? 2 : largest > 2 ? 1 : 0.5
  return Math.ceil(largest / step) * step
}
