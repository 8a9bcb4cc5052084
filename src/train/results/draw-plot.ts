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
const [LARGE, SMALL] = [300, 160]

/** Draws what `trainingPlot` returns. */
export async function drawTraining({ rawLosses, losses, lrs, momentums }: History): Promise<string> {
  requireFit('plot', losses)
  const skipped = losses.length > 2 * SKIPPED ? SKIPPED : 0
  const points = (values: readonly number[], from = 0) =>
    values.slice(from).map((value, i) => [from + i + 1, value] as const)
  const x = [0, losses.length] as const
  return chartsBelow([
    {
      title: 'Loss',
      x,
      lines: [
        { name: 'each step', look: 'faint', points: points(rawLosses, skipped) },
        { name: 'smoothed', look: 'first', points: points(losses, skipped) },
      ],
    },
    {
      title: 'Learning rate',
      x,
      height: SMALL,
      format: shortly,
      lines: [{ name: 'lr', look: 'first', points: points(lrs) }],
    },
    {
      title: 'Momentum',
      x,
      xName: 'steps',
      height: SMALL,
      format: (value) => value.toFixed(2),
      lines: [{ name: 'momentum', look: 'first', points: points(momentums) }],
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
  const lines = [{ name: 'loss', look: 'first', points: curve } as const, ...marks]
  return chartsBelow([{ title: 'Loss', xName: 'learning rate', logX: true, lines }])
}

/** Formats a learning rate with one digit: `3e-3`. */
export function shortly(lr: number): string {
  return lr === 0 ? '0' : lr.toExponential(0)
}

/** Draws charts below each other as one SVG whose colors follow the reader's light or dark mode. */
async function chartsBelow(plots: readonly LineChartOptions[]): Promise<string> {
  const drawn = plots.map(async ({ height = LARGE, ...plot }) => {
    return { height, svg: await lineChart({ ...plot, width: WIDTH, height }) }
  })
  const charts = await Promise.all(drawn)
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
