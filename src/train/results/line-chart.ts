import { OptionError } from '../../base/errors.ts'

/** A curve of a chart. Where y is not finite it has a gap; a single point has its name beside it. */
export interface Line {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
  readonly look: keyof typeof LOOKS
}

export interface LineChartOptions {
  readonly title: string
  readonly lines: readonly Line[]
  /** Below the axis. */
  readonly xName?: string
  /** Each power of ten as wide as the next. Default false */
  readonly logX?: boolean
  /** Where an axis begins and ends; what lies beyond is cut off. Default: what the points need */
  readonly x?: readonly [number, number]
  readonly y?: readonly [number | undefined, number]
  /** Numbers beside the y axis. Default: as they are */
  readonly format?: (value: number) => string
  /** Pixels. Default 480 × 240 */
  readonly width?: number
  readonly height?: number
}

/**
 * Colours are custom properties of CSS, so that a page chooses them, light or dark; on its own a chart has the colours
 * behind the commas, which show on white.
 */
const colour = {
  text: 'var(--chart-text, #1f2430)',
  muted: 'var(--chart-muted, #667085)',
  grid: 'var(--chart-grid, #e4e7ec)',
  ground: 'var(--chart-ground, #fff)',
  first: 'var(--chart-first, #2563eb)',
  second: 'var(--chart-second, #d9480f)',
}

/** What a line is: every value, the smooth course, what was measured now and then, and somebody else's to compare with. */
const LOOKS = {
  faint: { color: colour.first, width: 1, opacity: 0.35, type: 'solid', marks: false },
  first: { color: colour.first, width: 2, opacity: 1, type: 'solid', marks: false },
  second: { color: colour.second, width: 2, opacity: 1, type: 'solid', marks: true },
  other: { color: colour.muted, width: 1.5, opacity: 1, type: 'dashed', marks: true },
} as const

const FONT = 'system-ui, sans-serif'

/**
 * Curves over a common axis, as the text of an SVG.
 *
 * @throws OptionError  when the package that draws is not installed
 */
export async function lineChart(options: LineChartOptions): Promise<string> {
  const { title, lines, xName = '', logX = false, x, y, format = String, width = 480, height = 240 } = options
  const { init } = await charts()
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height })
  const curves = lines.filter(({ points }) => points.length !== 1)
  const ticks = height < 200 ? 2 : 4
  const text = { fontFamily: FONT, fontSize: 11, color: colour.muted }
  try {
    chart.setOption({
      animation: false,
      title: {
        text: title,
        left: 0,
        top: 0,
        padding: 0,
        textStyle: { ...text, fontSize: 13, fontWeight: 600, color: colour.text },
      },
      legend: {
        // Text is measured by guessing where there is no page: some room for what is wider.
        show: curves.length > 1,
        right: 8,
        top: -2,
        itemWidth: 14,
        itemHeight: 3,
        itemGap: 14,
        icon: 'rect',
        selectedMode: false,
        textStyle: text,
        data: curves.map(({ name, look }) => ({ name, itemStyle: { opacity: LOOKS[look].opacity } })),
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
        axisTick: { lineStyle: { color: colour.muted } },
        axisLine: { lineStyle: { color: colour.muted } },
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
        splitLine: { lineStyle: { color: colour.grid } },
      },
      series: lines.map(({ name, points, look }) => {
        const { color, width: thick, opacity, type, marks } = LOOKS[look]
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
          itemStyle: { color, borderColor: colour.ground },
          lineStyle: { color, width: thick, opacity, type },
          label: { show: points.length === 1, formatter: name, position: 'right', ...text, color: colour.text },
          data: points.map(([at, value]) => [at, Number.isFinite(value) ? value : null]),
        }
      }),
    })
    return chart.renderToSVGString()
  } finally {
    // Its timers would keep the process alive.
    chart.dispose()
  }
}

/**
 * Apache ECharts: alive, and the one among its like that gives SVG as text without a page, with two packages behind it.
 * Training needs no charts, so it is loaded with the first one, and the library works without it.
 */
async function charts() {
  try {
    const [{ init, use }, { LineChart }, { GridComponent, LegendComponent, TitleComponent }, { SVGRenderer }] =
      await Promise.all([
        import('echarts/core'),
        import('echarts/charts'),
        import('echarts/components'),
        import('echarts/renderers'),
      ])
    use([LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer])
    return { init }
  } catch (cause) {
    throw new OptionError('chart', 'the package that draws charts cannot be loaded', {
      fix: 'npm install echarts',
      cause,
    })
  }
}
