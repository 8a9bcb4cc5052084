import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { areaInterpolate, grid, gridSample, lit, sample, turned, type Picture } from './reference.ts'

interface Golden {
  cases: {
    shape: number[]
    out: [number, number]
    theta: number[][]
    seed: number
    y: { norm: number; sum: number; first: number[] }
    /** The middle one of the first channel of the first picture. */
    row: number[]
  }[]
}

const golden = JSON.parse(readFileSync(new URL('../../golden/grid_sample.json', import.meta.url), 'utf8')) as Golden

/** Value i of the hash tensor of a seed, as the golden file describes it. */
function hash(i: number, seed: number): number {
  let x = (i + Math.imul(seed, 0x9e3779b9)) >>> 0
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d) >>> 0
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b) >>> 0
  return Math.fround(((x ^ (x >>> 16)) >>> 0) / 2 ** 32)
}

test.each(golden.cases)(
  'sampling is PyTorch’s grid_sample: $shape to $out',
  ({ shape: [N, C, H, W], out, theta, seed, y, row }) => {
    const at = (n: number, c: number, i: number, j: number) => hash(((n * C + c) * H + i) * W + j, seed)
    const range = (count: number) => Array.from({ length: count }, (_, i) => i)
    const picture = (n: number): Picture =>
      range(H).map((i) => range(W).map((j) => range(C).map((c) => at(n, c, i, j))))
    const coordinates = grid(...out, [...theta.flat(), 0, 0, 1])
    const sampled = range(N).map((n) => coordinates.map((line) => line.map(([u, v]) => sample(picture(n), u, v))))
    const values = sampled.flatMap((one) =>
      range(C).flatMap((c) => one.flatMap((line) => line.map((pixel) => pixel[c]))),
    )
    expect(values.reduce((sum, value) => sum + value, 0)).toBeCloseTo(y.sum, 9)
    expect(Math.hypot(...values)).toBeCloseTo(y.norm, 9)
    y.first.forEach((value, i) => expect(values[i]).toBeCloseTo(value, 12))
    const middle = sampled[0][Math.floor(out[0] / 2)].map((pixel) => pixel[0])
    row.forEach((value, j) => expect(middle[j]).toBeCloseTo(value, 12))
  },
)

test('the grid goes from corner to corner', () => {
  const unchanged = [1, 0, 0, 0, 1, 0, 0, 0, 1]
  expect(grid(3, 5, unchanged)[1].map(([x]) => x)).toEqual([-1, -0.5, 0, 0.5, 1])
  expect(grid(5, 3, unchanged).map(([[, y]]) => y)).toEqual([-1, -0.5, 0, 0.5, 1])
})

test('reflection folds at the centres of the border pixels', () => {
  const picture = [[[0], [1], [2], [3]]]
  const at = (x: number) => sample(picture, x, 0)[0]
  const values = [-1.5, -1, -0.9, 0, 0.5, 1, 1.2, 1.9, 3.2, -3.4].map(at)
  expect(values.map((value) => +value.toFixed(12))).toEqual([0.75, 0, 0.15, 1.5, 2.25, 3, 2.7, 1.65, 0.3, 2.4])
})

test('area interpolation averages overlapping bins', () => {
  const ramp = Array.from({ length: 6 }, (_, i) => Array.from({ length: 6 }, (_, j) => [6 * i + j]))
  expect(areaInterpolate(ramp, 4, 4)[0].flat()).toEqual([3.5, 4.5, 6.5, 7.5])
})

test.each([
  [224, 1.7559055],
  [150, 1.1732283],
])('a step of less than two is bilinear without smoothing: %i to 128 pixels', (width, step) => {
  const ramp = Array.from({ length: 2 }, () => Array.from({ length: width }, (_, j) => [j]))
  const line = gridSample([ramp], [grid(2, 128, [1, 0, 0, 0, 1, 0, 0, 0, 1])])[0][0].flat()
  line.forEach((value, j) => expect(Math.abs(value - j * step)).toBeLessThan(128 * 1e-7))
  expect(line[1]).toBeCloseTo(step, 7)
  expect(line[127]).toBeCloseTo(width - 1, 12)
})

test.each([
  [{ brightness: 0.6, contrast: 1 }, [0.142857, 0.6, 0.931034]],
  [{ brightness: 0.5, contrast: 1.25 }, [0.060283, 0.5, 0.939717]],
  // Odds of 13.5^1.25: 0.9627937, and not the 0.962791 that is also quoted for it.
  [{ brightness: 0.6, contrast: 1.25 }, [0.096242, 0.624063, 0.962794]],
])('light %o', (light, expected) => {
  expect(rounded(lit([0.1, 0.5, 0.9], light))).toEqual(expected)
})

// Expected numbers from here on: the formulae in Python, with its colorsys for the hue.

test('saturation mixes logits with their grey', () => {
  const colour = [0.2, 0.5, 0.9]
  expect(rounded(lit(colour, undefined, 1.25))).toEqual([0.155526, 0.510241, 0.941997])
  expect(rounded(lit(colour, undefined, 0.8))).toEqual([0.241988, 0.491807, 0.848772])
  expect(rounded(lit(colour, { brightness: 0.6, contrast: 1.25 }, 0.8))).toEqual([0.284868, 0.614401, 0.934812])
  // The weights of the grey have the sum 0.9999.
  expect(rounded(lit([0.1, 0.1, 0.1], undefined, 0.8))).toEqual([0.100004, 0.100004, 0.100004])
})

test.each([
  [[0.2, 0.5, 0.9], 0.1, [0.32, 0.2, 0.9]],
  [[0.2, 0.5, 0.9], -0.1, [0.2, 0.9, 0.88]],
  [[0.9, 0.5, 0.2], 1 / 9, [0.833333, 0.9, 0.2]],
  [[0.9, 0.5, 0.2], -0.1, [0.9, 0.2, 0.32]],
  [[0.3, 0.8, 0.8], 0.05, [0.3, 0.65, 0.8]],
  [[0.7, 0.1, 0.7], 0.1, [0.7, 0.1, 0.34]],
  [[0.6, 0.6, 0.6], 0.1, [0.6, 0.6, 0.6]],
  [[0, 1, 0], 0.1, [0, 1, 0.6]],
  [[0.5, 0.9, 0.1], -0.1, [0.9, 0.82, 0.1]],
])('the hue of %o turned by %f', (colour, by, expected) => {
  expect(rounded(turned(colour, by))).toEqual(expected)
  // fastai adds a whole turn.
  expect(rounded(turned(colour, by + 1))).toEqual(expected)
})

function rounded(values: readonly number[]): number[] {
  return values.map((value) => +value.toFixed(6))
}
