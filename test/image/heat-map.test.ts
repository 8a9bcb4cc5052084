import { expect, test } from 'vitest'
import { heatOverlay, type HeatMap } from '../../src/image/heat-map.ts'
import type { Pixels } from '../../src/image/pixels.ts'

const black = (width: number, height: number): Pixels => ({
  width,
  height,
  data: Uint8Array.from({ length: width * height * 4 }, (_, i) => (i % 4 === 3 ? 255 : 0)),
})
/** Red of every pixel of an overlay on black, which is 0.6 times that of the color map. */
const reds = (width: number, height: number, map: HeatMap) =>
  Array.from(heatOverlay(black(width, height), map).data).filter((_, i) => i % 4 === 0)
const red = [0, 81, 183, 252].map((value) => Math.round(0.6 * value))

test('a heat map of any shape lies over an image cell by cell', () => {
  const map = { width: 3, height: 2, values: Float32Array.of(0, 1, 2, 3, 4, 0) }
  expect(reds(3, 2, map)).toEqual([red[0], red[1], red[2], red[3], red[3], red[0]])
})

test('it is interpolated between the centers of its cells, and continued beyond the outer ones', () => {
  const map = { width: 2, height: 1, values: Float32Array.of(0, 4) }
  // Centers of eight pixels in cells of four: -⅜, -⅛, ⅛, ⅜, ⅝ … of the way from one center to the other.
  const parts = [0, 0, 1 / 8, 3 / 8, 5 / 8, 7 / 8, 1, 1]
  const stops = [0, 81, 183, 252, 252]
  const expected = parts.map((part) => {
    const first = Math.min(3, Math.floor(4 * part))
    return Math.round(0.6 * (stops[first] + (stops[first + 1] - stops[first]) * (4 * part - first)))
  })
  expect(reds(8, 1, map)).toEqual(expected)
  expect(reds(1, 8, { width: 1, height: 2, values: map.values })).toEqual(expected)
})

test('a map without heat has the first color everywhere', () => {
  expect(reds(2, 2, { width: 2, height: 1, values: new Float32Array(2) })).toEqual([0, 0, 0, 0])
})
