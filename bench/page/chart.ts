const SVG = 'http://www.w3.org/2000/svg'
const MARGIN = { left: 40, right: 12, top: 8, bottom: 24 }
/** Share of the past in the smoothed loss. Source: fastai's recorder, AvgSmoothLoss. */
const MOMENTUM = 0.9

function shape(name: string, attributes: Readonly<Record<string, string | number>>, text?: string): SVGElement {
  const made = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value))
  if (text !== undefined) made.textContent = text
  return made
}

/** Values that fit a few round ticks. */
function ticks(most: number): readonly number[] {
  const rough = most / 4
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough) ?? power * 10
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, i) => i * step)
}

/** Curves of a fit as it goes on: loss of every step, its smoothed course, and the validation loss of every epoch. */
export class LossChart {
  private readonly svg: SVGSVGElement
  private readonly losses: number[] = []
  private readonly smooth: number[] = []
  private readonly valid: { readonly step: number; readonly loss: number }[] = []
  private average = 0
  private planned = 1
  private asked = false

  constructor(svg: SVGSVGElement) {
    this.svg = svg
    new ResizeObserver(() => this.ask()).observe(svg)
  }

  get last(): number | undefined {
    return this.smooth.at(-1)
  }

  clear(): void {
    this.losses.length = 0
    this.smooth.length = 0
    this.valid.length = 0
    this.average = 0
    this.planned = 1
    this.ask()
  }

  /** Makes room for steps beyond those that there are. */
  plan(steps: number): void {
    this.planned = this.losses.length + steps
    this.ask()
  }

  add(loss: number): void {
    this.losses.push(loss)
    this.average = MOMENTUM * this.average + (1 - MOMENTUM) * loss
    this.smooth.push(this.average / (1 - MOMENTUM ** this.losses.length))
    this.ask()
  }

  mark(loss: number): void {
    this.valid.push({ step: this.losses.length, loss })
    this.ask()
  }

  private ask(): void {
    if (this.asked) return
    this.asked = true
    requestAnimationFrame(() => {
      this.asked = false
      this.draw()
    })
  }

  private draw(): void {
    const { width, height } = this.svg.getBoundingClientRect()
    if (width === 0) return
    const right = width - MARGIN.right
    const bottom = height - MARGIN.bottom
    // One wild step does not flatten all others.
    const sorted = [...this.losses].sort((a, b) => a - b)
    const high = sorted[Math.floor(0.97 * (sorted.length - 1))] ?? 1
    const most = Math.max(0.5, high * 1.15, ...this.smooth.map((value) => value * 1.05))
    const span = Math.max(this.planned, this.losses.length, 2)
    const x = (step: number) => MARGIN.left + ((right - MARGIN.left) * step) / span
    const y = (loss: number) => bottom - ((bottom - MARGIN.top) * Math.min(loss, most)) / most
    const line = (values: readonly number[]) =>
      values.map((value, i) => `${i === 0 ? 'M' : 'L'}${x(i + 1).toFixed(1)} ${y(value).toFixed(1)}`).join('')
    this.svg.replaceChildren(
      ...ticks(most).flatMap((value) => [
        shape('path', { class: 'grid', d: `M${MARGIN.left} ${y(value)}H${right}` }),
        shape(
          'text',
          { x: MARGIN.left - 8, y: y(value) + 4, 'text-anchor': 'end' },
          String(Number(value.toPrecision(3))),
        ),
      ]),
      shape('text', { x: MARGIN.left, y: height - 6 }, '0'),
      shape('text', { x: right, y: height - 6, 'text-anchor': 'end' }, `${span} steps`),
      shape('path', { class: 'raw', d: line(this.losses) }),
      shape('path', { class: 'smooth', d: line(this.smooth) }),
      ...this.valid.map(({ step, loss }) => shape('circle', { class: 'mark', cx: x(step), cy: y(loss), r: 4.5 })),
    )
  }
}

/** Accuracy after every epoch, from none to all. */
export class AccuracyChart {
  private readonly svg: SVGSVGElement
  private readonly values: number[] = []
  private planned = 1

  constructor(svg: SVGSVGElement) {
    this.svg = svg
    new ResizeObserver(() => this.draw()).observe(svg)
  }

  clear(): void {
    this.values.length = 0
    this.draw()
  }

  plan(epochs: number): void {
    this.planned = this.values.length + epochs
    this.draw()
  }

  add(value: number): void {
    this.values.push(value)
    this.draw()
  }

  private draw(): void {
    const { width, height } = this.svg.getBoundingClientRect()
    if (width === 0) return
    const right = width - MARGIN.right
    const bottom = height - 10
    const span = Math.max(this.planned, this.values.length, 1)
    const x = (epoch: number) => MARGIN.left + ((right - MARGIN.left) * epoch) / span
    const y = (value: number) => bottom - (bottom - MARGIN.top) * value
    const points = this.values.map((value, i) => [x(i + 1), y(value)] as const)
    this.svg.replaceChildren(
      ...[0, 0.5, 1].flatMap((value) => [
        shape('path', { class: 'grid', d: `M${MARGIN.left} ${y(value)}H${right}` }),
        shape('text', { x: MARGIN.left - 8, y: y(value) + 4, 'text-anchor': 'end' }, `${100 * value}%`),
      ]),
      shape('path', { class: 'level', d: points.map(([px, py], i) => `${i === 0 ? 'M' : 'L'}${px} ${py}`).join('') }),
      ...points.map(([px, py]) => shape('circle', { class: 'mark', cx: px, cy: py, r: 3.5 })),
    )
  }
}
