import type { Pixels } from './pixels.ts'

/** Numbers on a grid, row by row from the top left. */
export interface HeatMap {
  readonly width: number
  readonly height: number
  readonly values: Float32Array
}

/** Colors of 0, ¼, ½, ¾ and 1. Source: matplotlib, the colormap magma (van der Walt and Smith 2015). */
const COLORS = [
  [0, 0, 4],
  [81, 18, 124],
  [183, 55, 121],
  [252, 137, 97],
  [252, 253, 191],
] as const

/** Weight of the heat map in an overlay. Source: fastai's book, chapter 18, `alpha=0.6`. */
const OPACITY = 0.6

/** Draws a heat map over an image, scaled so that its largest value has the last color, and resized bilinearly. */
export function heatOverlay(image: Pixels, map: HeatMap): Pixels {
  const { width, height, data } = image
  const largest = map.values.reduce((most, value) => Math.max(most, value), 0)
  const overlay = new Uint8Array(data.length)
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      const heat = largest > 0 ? valueAt(map, ((x + 0.5) / width) * map.width, ((y + 0.5) / height) * map.height) : 0
      const color = colorOf(largest > 0 ? heat / largest : 0)
      for (let c = 0; c < 3; c++) overlay[at + c] = Math.round((1 - OPACITY) * data[at + c] + OPACITY * color[c])
      overlay[at + 3] = 255
    }
  }
  return { width, height, data: overlay }
}

/** Interpolates a map at a point, where the centers of its cells are at ½, 1½, … */
function valueAt({ width, height, values }: HeatMap, x: number, y: number): number {
  const [x0, xPart] = cellOf(x, width)
  const [y0, yPart] = cellOf(y, height)
  const x1 = Math.min(x0 + 1, width - 1)
  const y1 = Math.min(y0 + 1, height - 1)
  const row = (at: number) => values[at * width + x0] * (1 - xPart) + values[at * width + x1] * xPart
  return row(y0) * (1 - yPart) + row(y1) * yPart
}

function cellOf(position: number, count: number): readonly [first: number, part: number] {
  const place = Math.min(count - 1, Math.max(0, position - 0.5))
  const first = Math.floor(place)
  return [first, place - first]
}

function colorOf(heat: number): readonly number[] {
  const place = heat * (COLORS.length - 1)
  const first = Math.min(COLORS.length - 2, Math.floor(place))
  return COLORS[first].map((value, c) => value + (COLORS[first + 1][c] - value) * (place - first))
}
