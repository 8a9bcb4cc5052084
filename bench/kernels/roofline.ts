import { escaped } from '../../src/base/escape.ts'
import { formatRate, formatTime } from '../../src/base/format.ts'
import type { Row } from './harness.ts'
import { arithmeticPeak, type Peaks } from '../../src/testing/peaks.ts'

interface Roofline {
  readonly rows: readonly Row[]
  readonly peaks: Peaks
  readonly title: string
  readonly subtitle: string
}

/**
 * Draws the measurements as one SVG that follows the reader's light or dark mode. Left: kernels of products under the
 * roofs of arithmetic and memory (Williams et al. 2009, doi:10.1145/1498765.1498785); right: passes over memory under
 * the roof of a copy and of the smallest launch.
 */
export function rooflineSvg({ rows, peaks, title, subtitle }: Roofline): string {
  const products = rows.filter(({ flops }) => flops > 0)
  const passes = rows.filter(({ flops }) => flops === 0)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img">`,
    `<title>${escaped(`${title}: ${subtitle}`)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="ground" width="${WIDTH}" height="${HEIGHT}"/>`,
    text(MARGIN.left, 30, title, 'title'),
    text(MARGIN.left, 50, subtitle, 'quiet'),
    ...productPanel(products, peaks),
    ...passPanel(passes, peaks),
    '</svg>',
    '',
  ].join('\n')
}

const WIDTH = 1200
const HEIGHT = 600
const MARGIN = { left: 92, top: 118, bottom: 54 }
const PANELS = { products: { left: MARGIN.left, width: 562 }, passes: { left: 764, width: 400 } }
const BOTTOM = HEIGHT - MARGIN.bottom

const STYLE = `
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #52514e }
.title { font-size: 17px; font-weight: 600; fill: #0b0b0b } .quiet { fill: #7a786f } .roof-name { fill: #0b0b0b }
.ground { fill: #fcfcfb } .grid { stroke: #e6e5e0; stroke-width: 1 } .axis { stroke: #c3c2b7 }
.roof { fill: none; stroke: #52514e; stroke-width: 2 } .launch { stroke-dasharray: 4 4; stroke-width: 1.5 }
.point { stroke: #fcfcfb; stroke-width: 1; fill-opacity: .85 }
.s1 { fill: #2a78d6 } .s2 { fill: #eb6834 } .s3 { fill: #1baf7a } .s4 { fill: #4a3aa7 } .s5 { fill: #898781 }
@media (prefers-color-scheme: dark) {
  text { fill: #c3c2b7 } .title { fill: #ffffff } .quiet { fill: #96948b } .roof-name { fill: #ffffff }
  .ground { fill: #1a1a19 } .grid { stroke: #2f2f2d } .axis { stroke: #52514e } .roof { stroke: #c3c2b7 } .point { stroke: #1a1a19 }
  .s1 { fill: #3987e5 } .s2 { fill: #d95926 } .s3 { fill: #199e70 } .s4 { fill: #9085e9 } .s5 { fill: #96948b }
}`

/** Style of the kernels whose names begin alike; the last series takes all others. */
interface Series {
  readonly name: string
  readonly begins: readonly string[]
  readonly style: string
  readonly mark: Mark
}

type Mark = 'circle' | 'square' | 'triangle' | 'diamond'

const PRODUCTS: readonly Series[] = [
  { name: 'convolution, forward', begins: ['conv2d/forward'], style: 's1', mark: 'circle' },
  { name: 'gradient of the input', begins: ['conv2d/backward-input'], style: 's2', mark: 'triangle' },
  { name: 'gradient of the weight', begins: ['conv2d/backward-weight'], style: 's3', mark: 'square' },
  { name: 'matrix products', begins: [''], style: 's4', mark: 'diamond' },
]
const PASSES: readonly Series[] = [
  { name: 'batch norm', begins: ['batch-norm'], style: 's1', mark: 'circle' },
  { name: 'pooling', begins: ['max-', 'avg-', 'global-'], style: 's2', mark: 'triangle' },
  { name: 'optimizer', begins: ['optim'], style: 's3', mark: 'square' },
  { name: 'augmentation', begins: ['augment', 'mixup'], style: 's4', mark: 'diamond' },
  { name: 'others', begins: [''], style: 's5', mark: 'circle' },
]

/** Logarithmic axis: `from` and `to` in the unit of the values, `start` and `end` in the drawing. */
interface Axis {
  readonly from: number
  readonly to: number
  readonly start: number
  readonly end: number
}

function productPanel(rows: readonly Row[], peaks: Peaks): string[] {
  if (rows.length === 0) return []
  const { left, width } = PANELS.products
  const intensity = ({ flops, bytes }: Row) => flops / bytes
  const rate = ({ flops, medianMs }: Row) => flops / (medianMs / 1000)
  const top = Math.max(peaks.f32, peaks.matrix ?? 0)
  const x = decades([...rows.map(intensity), peaks.f32 / peaks.copy, top / peaks.copy], left, left + width)
  const y = decades([...rows.map(rate), top], BOTTOM, MARGIN.top)
  const roof = (name: string, peak: number) => {
    const ridge = Math.max(x.from, peak / peaks.copy)
    return [
      `<path class="roof" d="M${place(x, ridge)} ${place(y, Math.min(peak, ridge * peaks.copy))}H${place(x, x.to)}"/>`,
      text(place(x, x.to) - 6, place(y, peak) - 7, `${formatRate(peak, 1000, 'FLOP')}: ${name}`, 'roof-name', 'end'),
    ]
  }
  // From the left border, or from below, up to the highest roof.
  const start = Math.max(x.from, y.from / peaks.copy)
  const [fromX, fromY] = [place(x, start), place(y, start * peaks.copy)]
  const [toX, toY] = [place(x, top / peaks.copy), place(y, top)]
  const angle = round((Math.atan2(toY - fromY, toX - fromX) * 180) / Math.PI)
  const copying = `${formatRate(peaks.copy, 1000, 'B')}: copying`
  return [
    ...legend(left, PRODUCTS, rows),
    ...grid(x, y, ['', 'FLOP/s'], 'operations a byte of what is read and made'),
    `<path class="roof" d="M${fromX} ${fromY}L${toX} ${toY}"/>`,
    `<g transform="translate(${fromX} ${fromY}) rotate(${angle})">${text(10, -7, copying, 'roof-name')}</g>`,
    ...roof('multiply-adds in f32', peaks.f32),
    ...(peaks.matrix === undefined ? [] : roof('matrix units', arithmeticPeak(peaks, 'matrix'))),
    ...points(rows, PRODUCTS, (row) => [place(x, intensity(row)), place(y, rate(row))]),
  ]
}

function passPanel(rows: readonly Row[], peaks: Peaks): string[] {
  if (rows.length === 0) return []
  const { left, width } = PANELS.passes
  const rate = ({ bytes, medianMs }: Row) => bytes / (medianMs / 1000)
  const x = decades(
    rows.map(({ bytes }) => bytes),
    left,
    left + width,
  )
  const y = decades([...rows.map(rate), peaks.copy], BOTTOM, MARGIN.top)
  const perLaunch = (bytes: number) => bytes / (peaks.launchMs / 1000)
  // Where a copy takes as long as the smallest launch.
  const ridge = Math.min(x.to, Math.max(x.from, (peaks.copy * peaks.launchMs) / 1000))
  const start = Math.min(ridge, Math.max(x.from, (y.from * peaks.launchMs) / 1000))
  return [
    ...legend(left, PASSES, rows),
    ...grid(x, y, ['B', 'B/s'], 'bytes of what is read and made'),
    `<path class="roof" d="M${place(x, Math.max(x.from, ridge))} ${place(y, peaks.copy)}H${place(x, x.to)}"/>`,
    text(x.end - 6, place(y, peaks.copy) - 7, `${formatRate(peaks.copy, 1000, 'B')}: copying`, 'roof-name', 'end'),
    ...(start < ridge
      ? [
          `<path class="roof launch" d="M${place(x, start)} ${place(y, perLaunch(start))}L${place(x, ridge)} ${place(y, perLaunch(ridge))}"/>`,
          text(x.start + 6, place(y, peaks.copy) - 7, `one launch, ${formatTime(peaks.launchMs)}`, 'roof-name'),
        ]
      : []),
    ...points(rows, PASSES, (row) => [place(x, row.bytes), place(y, rate(row))]),
  ]
}

function seriesOf({ name }: Row, all: readonly Series[]): Series {
  return all.find(({ begins }) => begins.some((beginning) => name.startsWith(beginning))) ?? all[all.length - 1]
}

function points(
  rows: readonly Row[],
  all: readonly Series[],
  where: (row: Row) => readonly [number, number],
): string[] {
  return rows.map((row) => {
    const { style, mark } = seriesOf(row, all)
    const [x, y] = where(row)
    const speed = row.flops > 0 ? formatRate(row.flops, row.medianMs, 'FLOP') : formatRate(row.bytes, row.medianMs, 'B')
    const kernel = row.kernel === '' ? '' : `, ${row.kernel}`
    const what = `${formatTime(row.medianMs)}, ${speed}, ${(100 * row.share).toFixed(0)}% of its roof${kernel}`
    return `<path class="point ${style}" d="${outline(mark, x, y)}"><title>${escaped(`${row.name}: ${what}`)}</title></path>`
  })
}

/** Returns the outline of a mark; all marks have about the same area. */
function outline(mark: Mark, x: number, y: number): string {
  if (mark === 'circle') return `M${round(x - 5)} ${round(y)}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z`
  if (mark === 'square') return `M${round(x - 4.5)} ${round(y - 4.5)}h9v9h-9z`
  if (mark === 'triangle') return `M${round(x)} ${round(y - 6)}l6 10.5h-12z`
  return `M${round(x)} ${round(y - 6.3)}l6.3 6.3l-6.3 6.3l-6.3 -6.3z`
}

function legend(left: number, all: readonly Series[], rows: readonly Row[]): string[] {
  let at = left
  return all
    .filter((series) => rows.some((row) => seriesOf(row, all) === series))
    .flatMap(({ name, style, mark }) => {
      const here = at
      at += 30 + 6.3 * name.length
      return [`<path class="point ${style}" d="${outline(mark, here + 6, 82)}"/>`, text(here + 18, 86, name)]
    })
}

function grid(x: Axis, y: Axis, [xUnit, yUnit]: readonly [string, string], xName: string): string[] {
  const lines = [...ticks(x)].map((value) => {
    const at = place(x, value)
    return `<path class="grid" d="M${at} ${MARGIN.top}V${BOTTOM}"/>${text(at, BOTTOM + 18, tickText(value, xUnit), '', 'middle')}`
  })
  const rows = [...ticks(y)].map((value) => {
    const at = place(y, value)
    return `<path class="grid" d="M${x.start} ${at}H${x.end}"/>${text(x.start - 8, at + 4, tickText(value, yUnit), '', 'end')}`
  })
  return [
    ...lines,
    ...rows,
    `<path class="axis" d="M${x.start} ${BOTTOM}H${x.end}"/>`,
    text((x.start + x.end) / 2, BOTTOM + 40, xName, 'quiet', 'middle'),
  ]
}

/** Makes an axis from 1, 2 or 5 times a power of ten below all values to one above them. */
function decades(values: readonly number[], start: number, end: number): Axis {
  const [least, most] = [Math.min(...values) / 1.1, Math.max(...values) * 1.1]
  const below = (value: number) => {
    const power = 10 ** Math.floor(Math.log10(value))
    return value >= 5 * power ? 5 * power : value >= 2 * power ? 2 * power : power
  }
  return { from: below(least), to: 1 / below(1 / most), start, end }
}

/** Generates the powers of ten within an axis. */
function* ticks({ from, to }: Axis): Generator<number> {
  for (let power = Math.ceil(Math.log10(from) - 0.01); 10 ** power < to * 1.01; power++) yield 10 ** power
}

function place({ from, to, start, end }: Axis, value: number): number {
  return round(start + ((end - start) * Math.log(value / from)) / Math.log(to / from))
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

/** Formats a power of ten: `100 GFLOP/s`, `0.1`. */
function tickText(value: number, unit: string): string {
  const prefixes = [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const
  const [scale, prefix] = prefixes.find(([least]) => value >= least * 0.99) ?? [1, '']
  return `${Number((value / scale).toPrecision(3))} ${prefix}${unit}`.trimEnd()
}

function text(x: number, y: number, content: string, style = '', anchor: 'start' | 'middle' | 'end' = 'start'): string {
  const attributes = `${style === '' ? '' : ` class="${style}"`}${anchor === 'start' ? '' : ` text-anchor="${anchor}"`}`
  return `<text x="${round(x)}" y="${round(y)}"${attributes}>${escaped(content)}</text>`
}
