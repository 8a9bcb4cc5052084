import { describe, expect, test, vi } from 'vitest'
import { OptionError } from '../../../src/base/errors.ts'
import { lineChart } from '../../../src/train/results/line-chart.ts'
import { lossPlot, lrFindPlot, metricsPlot, trainingPlot } from '../../../src/train/results/plot.ts'
import type { Learner } from '../../../src/train/learner.ts'
import { Recorder } from '../../../src/train/callbacks/recorder.ts'

/** Elements are closed in the order they were opened. */
function expectWellFormed(svg: string): void {
  const open: string[] = []
  for (const [, end, name, empty] of svg
    .replaceAll(/<!\[CDATA\[.*?\]\]>/gs, '')
    .matchAll(/<(\/?)([a-zA-Z]+)[^>]*?(\/?)>/g)) {
    if (end) expect(open.pop()).toBe(name)
    else if (!empty) open.push(name)
  }
  expect(open).toEqual([])
}

/** Where the lines of a chart go, without axes and marks: paths in the colour of its curves. */
function curves(svg: string): string[] {
  return [
    ...svg.matchAll(/<path d="([^"]*)"[^>]*stroke="var\(--chart-(?:first|second|faint|muted)[^>]*stroke-linejoin/g),
  ].map(([, path]) => path)
}

const line = (points: readonly (readonly [number, number])[]) => ({ name: 'loss', look: 'first', points }) as const

describe('a chart', () => {
  test('is an SVG with its names and one path a curve', async () => {
    const svg = await lineChart({
      title: 'Loss & more',
      xName: 'epochs',
      lines: [
        line([
          [0, 1],
          [1, 3],
          [2, 2],
        ]),
        {
          ...line([
            [0, 3],
            [2, 1],
          ]),
          name: 'other',
          look: 'other',
        },
      ],
    })
    expectWellFormed(svg)
    expect(svg).toMatch(/^<svg width="480" height="240"/)
    for (const text of ['Loss &amp; more', '>epochs<', '>loss<', '>other<']) expect(svg).toContain(text)
    expect(curves(svg).length).toBe(2)
    // One corner between two ends.
    expect(curves(svg)[0].match(/[ML]/g)).toEqual(['M', 'L', 'L'])
  })

  test('has a gap where there is no number, or none that is finite', async () => {
    const chart = (gap: number) =>
      lineChart({
        title: '',
        lines: [
          line([
            [0, 1],
            [1, 2],
            [2, gap],
            [3, 1],
            [4, 2],
          ]),
        ],
      })
    const [path] = curves(await chart(NaN))
    expect(path.match(/M/g)?.length).toBe(2)
    // The others stand where they stood.
    expect(curves(await chart(Infinity))).toEqual([path])
  })

  test('leaves no timer behind, which would keep a program alive', async () => {
    await lineChart({ title: '', lines: [line([[0, 1]])] })
    // A last one still fires.
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(process.getActiveResourcesInfo()).not.toContain('Timeout')
  })

  test('has the axes that it is told to', async () => {
    const labels = (svg: string) => [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, text]) => text)
    const svg = await lineChart({
      title: '',
      y: [0, 1],
      x: [0, 3],
      format: (value) => `${100 * value}%`,
      lines: [
        line([
          [0, 0.2],
          [3, 0.9],
        ]),
      ],
    })
    expect(labels(svg).sort()).toEqual(['0', '0%', '1', '100%', '2', '25%', '3', '50%', '75%'])
    const log = labels(
      await lineChart({
        title: '',
        logX: true,
        lines: [
          line([
            [1e-4, 1],
            [1, 2],
          ]),
        ],
      }),
    )
    expect(log).toEqual(expect.arrayContaining(['1e-4', '1e-2', '1e+0']))
  })
})

describe('the plot of a fit', () => {
  function recorder(steps: number): Recorder {
    const made = new Recorder()
    for (let i = 0; i < steps; i++) {
      made.rawLosses.push(2 + Math.sin(i))
      made.losses.push(2)
      made.lrs.push(i / 1000)
      made.momentums.push(0.9)
    }
    return made
  }

  test('has loss, learning rate and momentum in one picture, light and dark', async () => {
    const svg = await trainingPlot(recorder(40))
    expectWellFormed(svg)
    for (const text of ['Loss', 'Learning rate', 'Momentum', 'each step', 'smoothed', 'prefers-color-scheme: dark']) {
      expect(svg).toContain(text)
    }
    expect(curves(svg).length).toBe(4)
  })

  test('is written by the recorder', async () => {
    const written: [string, string][] = []
    const files = { write: (path: string, text: string) => Promise.resolve(void written.push([path, text])) }
    const made = recorder(8)
    const { rawLosses, losses, lrs, momentums } = made
    made.beforeFit({ platform: { files }, loaders: { train: { batchCount: 8 } } } as unknown as Learner)
    Object.assign(made, { rawLosses, losses, lrs, momentums })
    await expect(made.plot('run.png')).rejects.toThrow('plot: the extension does not match the format written')
    for (const file of ['run.svg', 'RUN.SVG']) await made.plot(file)
    expect(written.map(([path]) => path)).toEqual(['run.svg', 'RUN.SVG'])
    expectWellFormed(written[0][1])
  })

  test('is refused before there was one', async () => {
    await expect(trainingPlot(new Recorder())).rejects.toThrow('there is nothing to plot')
  })
})

describe('losses and metrics', () => {
  const row = (epoch: number) => ({
    epoch,
    trainLoss: 2 - epoch / 2,
    validLoss: 2.5 - epoch / 2,
    metrics: { accuracy: 0.3 + epoch / 10, f1: 0.2 + epoch / 10 },
    timeMs: 1000,
    imagesPerSecond: 10,
  })
  const made = (): Recorder => {
    const recorder = new Recorder()
    const losses = Array.from({ length: 24 }, (_, i) => 3 - i / 12)
    Object.assign(recorder, { losses, stepsPerEpoch: 8, rows: [0, 1, 2].map(row), history: [0, 1, 2, 3].map(row) })
    return recorder
  }

  test('the loss over the steps, with that of validation after each epoch', async () => {
    const svg = await lossPlot(made())
    expectWellFormed(svg)
    for (const text of ['>training<', '>validation<', '>steps<']) expect(svg).toContain(text)
    const points = (text: string) => curves(text).map((path) => path.match(/[ML]/g)?.length)
    expect(points(svg)).toEqual([19, 3])
    expect(points(await made().plotLoss(undefined, 10))).toEqual([14, 3])
    await expect(new Recorder().plotLoss()).rejects.toThrow('plotLoss: there is nothing to plot')
  })

  test('every metric over the epochs of all fits', async () => {
    const svg = await metricsPlot(made())
    expectWellFormed(svg)
    for (const text of ['>Loss<', '>accuracy<', '>f1<', '>epochs<']) expect(svg).toContain(text)
    expect(curves(svg).map((path) => path.match(/[ML]/g)?.length)).toEqual([4, 4, 4, 4])
    await expect(new Recorder().plotMetrics()).rejects.toThrow('plotMetrics: there is nothing to plot')
  })
})

test('the plot of a search names its suggestions beside their points', async () => {
  const lrs = Array.from({ length: 50 }, (_, i) => 1e-6 * 1.3 ** i)
  const svg = await lrFindPlot({
    lrs,
    losses: lrs.map((lr) => 3 - 100 * lr),
    suggestions: {
      valley: { lr: 1e-3, point: { lr: 1.1e-3, loss: 2.9 } },
      minimum: { lr: 2e-2, point: { lr: 0.2, loss: 1 } },
    },
  })
  expectWellFormed(svg)
  expect(svg).toContain('>valley 1.0e-3<')
  expect(svg).toContain('>minimum 2.0e-2<')
})

test('the last five points of a search are not drawn, where the loss is out of all proportion', async () => {
  const lrs = Array.from({ length: 30 }, (_, i) => 1e-6 * 1.3 ** i)
  const search = { lrs, losses: lrs.map((_, i) => (i < 25 ? 3 - i / 20 : 7000)), suggestions: {} }
  const points = (svg: string) => curves(svg)[0].match(/[ML]/g)?.length
  const svg = await lrFindPlot(search)
  expect(points(svg)).toBe(25)
  expect(svg).not.toMatch(/>\d,?000</)
  const whole = await lrFindPlot(search, { skipEnd: 0 })
  expect(points(whole)).toBe(30)
  expect(whole).toMatch(/>\d,?000</)
  await expect(lrFindPlot({ ...search, lrs: lrs.slice(0, 5) })).rejects.toThrow('no point of the curve remains')
  await expect(lrFindPlot(search, { skipEnd: -1 })).rejects.toThrow(OptionError)
})

test('without the package that draws there is one clear message', async () => {
  vi.doMock('echarts/core', () => {
    throw new Error('there is no such package')
  })
  await expect(lineChart({ title: '', lines: [] })).rejects.toThrow('npm install echarts')
  vi.doUnmock('echarts/core')
})
