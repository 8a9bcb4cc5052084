import { OptionError } from '../../base/errors.ts'
import { checkOptions, NUMBER } from '../../base/options.ts'
import { chartProperties } from './chart-colors.ts'
import { lineChart, type LineChartOptions } from './line-chart.ts'
import { LAST_STEPS, type LrCurve, type Suggestion } from './lr-suggestions.ts'
import type { EpochRow, History } from '../fit/history.ts'

/**
 * Number of steps at the beginning whose loss is not plotted: they would flatten the rest. Source: fastai learner.py,
 * Recorder.plot_loss.
 */
const SKIPPED = 5
const WIDTH = 640
const HEIGHTS = { large: 300, small: 160 } as const

/** Draws what `trainingPlot` returns. */
export async function drawTraining({ rawLosses, losses, lrs, momentums }: History): Promise<string> {
  requireFit('plot', losses)
  const skipped = losses.length > 2 * SKIPPED ? SKIPPED : 0
  const points = (values: readonly number[], from = 0) =>
    values.slice(from).map((value, i) => [from + i + 1, value] as const)
  const x = [0, losses.length] as const
  return stacked([
    {
      height: HEIGHTS.large,
      svg: await lineChart({
        title: 'Loss',
        x,
        width: WIDTH,
        height: HEIGHTS.large,
        lines: [
          { name: 'each step', look: 'faint', points: points(rawLosses, skipped) },
          { name: 'smoothed', look: 'first', points: points(losses, skipped) },
        ],
      }),
    },
    {
      height: HEIGHTS.small,
      svg: await lineChart({
        title: 'Learning rate',
        x,
        width: WIDTH,
        height: HEIGHTS.small,
        format: shortly,
        lines: [{ name: 'lr', look: 'first', points: points(lrs) }],
      }),
    },
    {
      height: HEIGHTS.small,
      svg: await lineChart({
        title: 'Momentum',
        x,
        xName: 'steps',
        width: WIDTH,
        height: HEIGHTS.small,
        format: (value) => value.toFixed(2),
        lines: [{ name: 'momentum', look: 'first', points: points(momentums) }],
      }),
    },
  ])
}

/** Draws what `lossPlot` returns. */
export async function drawLoss({ rows, losses, stepsPerEpoch }: History, skipStart = SKIPPED): Promise<string> {
  requireFit('plotLoss', losses)
  const skipped = losses.length > 2 * skipStart ? skipStart : 0
  return chartsBelow([
    {
      title: 'Loss',
      x: [0, losses.length],
      xName: 'steps',
      lines: [
        {
          name: 'training',
          look: 'first',
          points: losses.slice(skipped).map((value, i) => [skipped + i + 1, value] as const),
        },
        {
          name: 'validation',
          look: 'second',
          points: rows.map(({ validLoss }, i) => [(i + 1) * stepsPerEpoch, validLoss] as const),
        },
      ],
    },
  ])
}

/** Draws what `metricsPlot` returns. */
export async function drawMetrics({ history }: Pick<History, 'history'>): Promise<string> {
  requireFit('plotMetrics', history)
  const x = [1, Math.max(2, history.length)] as const
  const line = (value: (row: EpochRow) => number) => history.map((row, i) => [i + 1, value(row)] as const)
  const names = Object.keys(history.at(-1)?.metrics ?? {})
  return chartsBelow([
    {
      title: 'Loss',
      x,
      lines: [
        { name: 'training', look: 'first', points: line(({ trainLoss }) => trainLoss) },
        { name: 'validation', look: 'second', points: line(({ validLoss }) => validLoss) },
      ],
    },
    ...names.map((name, i) => ({
      title: name,
      x,
      ...(i + 1 === names.length && { xName: 'epochs' }),
      lines: [{ name, look: 'second' as const, points: line(({ metrics }) => metrics[name] ?? NaN) }],
    })),
  ])
}

function requireFit(where: string, values: readonly unknown[]): void {
  if (values.length > 0) return
  throw new OptionError(where, 'there is nothing to plot', { fix: 'train first: `await learner.fitOneCycle(5)`' })
}

async function chartsBelow(charts: readonly LineChartOptions[]): Promise<string> {
  const height = HEIGHTS.large
  return stacked(
    await Promise.all(
      charts.map(async (chart) => ({ height, svg: await lineChart({ ...chart, width: WIDTH, height }) })),
    ),
  )
}

/** Draws what `lrFindPlot` returns. */
export async function drawLrFind(
  { lrs, losses, suggestions }: LrCurve & { readonly suggestions: Readonly<Record<string, Suggestion>> },
  options: { readonly skipEnd?: number } = {},
): Promise<string> {
  checkOptions('lrFindPlot', options, { skipEnd: NUMBER })
  const { skipEnd = LAST_STEPS } = options
  if (!(Number.isInteger(skipEnd) && skipEnd >= 0 && skipEnd < lrs.length)) {
    throw new OptionError('lrFindPlot', 'no point of the curve remains', {
      given: { points: lrs.length, skipEnd },
      expected: 'skipEnd as a non-negative integer below the number of points',
    })
  }
  const curve = lrs.slice(0, lrs.length - skipEnd).map((lr, i) => [lr, losses[i]] as const)
  const marks = Object.entries(suggestions).map(
    ([name, { lr, point }]) =>
      ({
        name: `${name} ${lr.toExponential(1)}`,
        look: 'second',
        points: [[point.lr, point.loss]],
      }) as const,
  )
  const chart = { title: 'Loss', xName: 'learning rate', logX: true, width: WIDTH, height: HEIGHTS.large }
  const svg = await lineChart({ ...chart, lines: [{ name: 'loss', look: 'first', points: curve }, ...marks] })
  return stacked([{ svg, height: HEIGHTS.large }])
}

/** Formats a learning rate with one digit: `3e-3`. */
export function shortly(lr: number): string {
  return lr === 0 ? '0' : lr.toExponential(0)
}

/** Stacks charts into one SVG whose colors follow the reader's light or dark mode. */
function stacked(charts: readonly { readonly svg: string; readonly height: number }[]): string {
  const margin = 12
  const tops = charts.map((_, i) => margin + charts.slice(0, i).reduce((sum, { height }) => sum + height + margin, 0))
  const [width, height] = [WIDTH + 2 * margin, (tops.at(-1) ?? 0) + (charts.at(-1)?.height ?? 0) + margin]
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<style>
svg { ${chartProperties('light')} }
@media (prefers-color-scheme: dark) { svg { ${chartProperties('dark')} } }
</style>
<rect width="100%" height="100%" fill="var(--chart-ground)"/>
${charts.map(({ svg }, i) => `<g transform="translate(${margin} ${tops[i]})">\n${svg}\n</g>`).join('\n')}
</svg>
`
}
