import { OptionError } from '../../base/errors.ts'
import { chartColor } from './chart-colors.ts'
import { ANY, checkOptions, FLAG, FUNCTION, NUMBER, TEXT, type Kinds } from '../../base/options.ts'

/** Line of a chart. It has a gap where y is not finite; a single point is labeled with the name. */
export interface Line {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
  readonly look: keyof typeof LOOKS
}

/** Options of `lineChart`. */
export interface LineChartOptions {
  readonly title: string
  readonly lines: readonly Line[]
  /** Name of the x axis, shown below it. */
  readonly xName?: string
  /** True for a logarithmic x axis. Default false */
  readonly logX?: boolean
  /** Range of the x axis; points outside are clipped. Default: the range of the points */
  readonly x?: readonly [number, number]
  /** Range of the y axis; points outside are clipped. Default: the range of the points */
  readonly y?: readonly [number | undefined, number]
  /** Formatter of the numbers on the y axis. Default: `String` */
  readonly format?: (value: number) => string
  /** Width in pixels. Default 480 */
  readonly width?: number
  /** Height in pixels. Default 240 */
  readonly height?: number
}

/**
 * Styles of lines: every value, a smooth curve, occasional measurements, and values of another source for comparison.
 */
const LOOKS = {
  faint: { color: chartColor('faint'), width: 1, type: 'solid', marks: false },
  first: { color: chartColor('first'), width: 2, type: 'solid', marks: false },
  second: { color: chartColor('second'), width: 2, type: 'solid', marks: true },
  other: { color: chartColor('muted'), width: 1.5, type: 'dashed', marks: true },
} as const

const KINDS: Kinds<LineChartOptions> = {
  title: TEXT,
  lines: ANY,
  xName: TEXT,
  logX: FLAG,
  x: ANY,
  y: ANY,
  format: FUNCTION,
  width: NUMBER,
  height: NUMBER,
}

const FONT = 'system-ui, sans-serif'

/**
 * Renders line charts over a common x axis as SVG text.
 *
 * @throws OptionError  if the package echarts is not installed
 */
export async function lineChart(options: LineChartOptions): Promise<string> {
  checkOptions('lineChart', options, KINDS)
  const { title, lines, xName = '', logX = false, x, y, format = String, width = 480, height = 240 } = options
  const { init } = await charts()
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height })
  const curves = lines.filter(({ points }) => points.length !== 1)
  const ticks = height < 200 ? 2 : 4
  const text = { fontFamily: FONT, fontSize: 11, color: chartColor('muted') }
  try {
    chart.setOption({
      animation: false,
      title: {
        text: title,
        left: 0,
        top: 0,
        padding: 0,
        textStyle: { ...text, fontSize: 13, fontWeight: 600, color: chartColor('text') },
      },
      legend: {
        // Without a page the width of text is only estimated; the gap leaves room for wider text.
        show: curves.length > 1,
        right: 8,
        top: -2,
        itemWidth: 14,
        itemHeight: 3,
        itemGap: 14,
        icon: 'rect',
        selectedMode: false,
        textStyle: text,
        data: curves.map(({ name }) => name),
      },
      grid: { left: 44, right: 10, top: 34, bottom: xName === '' ? 24 : 38 },
      xAxis: {
        type: logX ? 'log' : 'value',
        min: x?.[0] ?? 'dataMin',
        max: x?.[1] ?? 'dataMax',
        minInterval: 1,
        silent: true,
        name: xName,
        nameLocation: 'middle',
        nameGap: 24,
        nameTextStyle: text,
        axisLabel: logX ? { ...text, formatter: (value: number) => value.toExponential(0) } : text,
        splitLine: { show: false },
        axisTick: { lineStyle: { color: chartColor('muted') } },
        axisLine: { lineStyle: { color: chartColor('muted') } },
      },
      yAxis: {
        type: 'value',
        scale: true,
        silent: true,
        splitNumber: ticks,
        ...(y ? { min: y[0], max: y[1] } : {}),
        ...(y?.[0] === undefined ? {} : { interval: (y[1] - y[0]) / ticks }),
        axisLabel: { ...text, formatter: format },
        axisLine: { show: false },
        axisTick: { show: false },
        splitLine: { lineStyle: { color: chartColor('grid') } },
      },
      series: lines.map(({ name, points, look }) => {
        const { color, width: thick, type, marks } = LOOKS[look]
        return {
          type: 'line',
          name,
          silent: true,
          color,
          sampling: 'lttb',
          clip: true,
          showSymbol: marks,
          symbol: 'circle',
          symbolSize: 5,
          itemStyle: { color, borderColor: chartColor('ground') },
          lineStyle: { color, width: thick, type },
          label: { show: points.length === 1, formatter: name, position: 'right', ...text, color: chartColor('text') },
          data: points.map(([at, value]) => [at, Number.isFinite(value) ? value : null]),
        }
      }),
    })
    return chart.renderToSVGString()
  } finally {
    // ECharts' timers would keep the process alive.
    chart.dispose()
  }
}

/**
 * Loads Apache ECharts, which is maintained and, unlike its alternatives, renders SVG text without a page, with two
 * dependencies. Training needs no charts, so it is loaded on first use, and the library works without it.
 */
async function charts() {
  try {
    // Awaited within `try`, by which every bundler knows that the package may be absent.
    const { init, use } = await import('echarts/core')
    const { LineChart } = await import('echarts/charts')
    const { GridComponent, LegendComponent, TitleComponent } = await import('echarts/components')
    const { SVGRenderer } = await import('echarts/renderers')
    use([LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer])
    return { init }
  } catch (cause) {
    throw new OptionError('chart', 'the package echarts, which draws charts, cannot be loaded', {
      fix: 'npm install echarts',
      cause,
    })
  }
}
