import { expect, test } from 'vitest'
import { extent, keepAngles } from '../../../src/data/augment/affine.ts'
import {
  betweenPixels,
  dihedral,
  flip,
  identity,
  multiply,
  rotate,
  transform,
  warp,
  zoom,
  type Matrix,
} from '../../../src/data/augment/matrix.ts'

function expectClose(actual: readonly number[], expected: readonly number[], digits = 7): void {
  expect(actual).toHaveLength(expected.length)
  actual.forEach((value, i) => expect(value).toBeCloseTo(expected[i], digits))
}

function project(m: Matrix, x: number, y: number): [number, number] {
  const [X, Y, w] = transform(m, x, y)
  return [X / w, Y / w]
}

// Expected numbers of this file: fastai's formulae evaluated with NumPy in float64.

test('flip · rotate · zoom', () => {
  const m = multiply(flip, multiply(rotate(10), zoom(1.1, 0.25, 0.75)))
  expectClose(m.slice(0, 6), [-0.89527978, -0.15786198, 0.03687089, -0.15786198, 0.89527978, 0.05265709], 8)
  const oblong = keepAngles(m, 300, 400)
  expectClose([oblong[1], oblong[3]], [-0.11839648, -0.21048264], 8)
})

test('a rotation keeps angles on a picture that is not square', () => {
  // In pixels of a 31 × 51 picture, from its centre: 10 to the right becomes 10 under 30°.
  const m = betweenPixels(keepAngles(rotate(30), 30, 50), [31, 51], [31, 51])
  expectClose(project(m, 10, 0), [10 * Math.cos(Math.PI / 6), -10 * Math.sin(Math.PI / 6)], 10)
})

test('the eight symmetries are distinct, take the square to itself and begin with the identity', () => {
  expect(dihedral(0)).toEqual(identity)
  expect(dihedral(1)).toEqual(flip)
  const images = Array.from({ length: 8 }, (_, k) =>
    [project(dihedral(k), 1, 0.5), project(dihedral(k), 0.5, 1)].flat(),
  )
  expect(new Set(images.map((image) => image.join(' '))).size).toBe(8)
  for (const image of images) expect(image.map(Math.abs).sort((a, b) => a - b)).toEqual([0.5, 0.5, 1, 1])
  // fastai's own table, spelled out for the four that exchange the axes.
  expect([3, 5, 6, 7].map((k) => dihedral(k).slice(0, 6))).toEqual([
    [0, -1, 0, 1, 0, 0],
    [0, 1, 0, -1, 0, 0],
    [0, 1, 0, 1, 0, 0],
    [0, -1, 0, -1, 0, 0],
  ])
})

test('the perspective in closed form', () => {
  expectClose(warp(0.2, 0), [1, 0, -0.2, 0, 1, 0, -0.2, 0, 1], 12)
  expectClose(project(warp(0.2, 0), 1, 1), [1, 1.25])
  expectClose(project(warp(0.2, 0), -1, -1), [-1, -0.8333333])
  expectClose(project(warp(0.2, 0), 0.5, -0.5), [0.3333333, -0.5555556])
  expectClose(
    [warp(0.1, -0.05)[1], -warp(0.1, -0.05)[2], -warp(0.1, -0.05)[5]],
    [-0.01012658, 0.10050633, -0.05101266],
    8,
  )
  expectClose(project(warp(0.1, -0.05), -1, -1), [-1.0389579, -0.8945845])
})

test.each([
  [0.2, 0.1],
  [-0.13, 0.2],
  [0.4, -0.35],
  [0, 0],
])('the perspective %f, %f takes the tilted corners to the corners', (x, y) => {
  expectClose(project(warp(x, y), -1 - y, -1 - x), [-1, -1], 12)
  expectClose(project(warp(x, y), -1 + y, 1 + x), [-1, 1], 12)
  expectClose(project(warp(x, y), 1 + y, -1 + x), [1, -1], 12)
  expectClose(project(warp(x, y), 1 - y, 1 - x), [1, 1], 12)
})

test('the affine part is applied first, the perspective last', () => {
  const m = multiply(warp(0.1, -0.1), multiply(flip, multiply(rotate(5), zoom(1.05, 0.5, 0.5))))
  expectClose(project(m, -1, -1), [1.1748734, -0.9732021])
  expectClose(project(m, 0, 0), [-0.1020408, 0.1020408])
  expectClose(project(m, 1, 1), [-0.9646854, 0.8284424])
  expectClose(project(m, 0.5, -0.25), [-0.540335, -0.1644578])
})

test('between pixels, corners fall on corners', () => {
  const m = betweenPixels(identity, [5, 7], [9, 13])
  expectClose([...project(m, -3, -2), ...project(m, 3, 2), ...project(m, 0, -1)], [-6, -4, 6, 4, 0, -2], 12)
  expectClose(project(betweenPixels(flip, [5, 7], [9, 13]), -3, 2), [6, 4], 12)
})

test('between pixels, a perspective is the same', () => {
  const m = multiply(warp(0.1, -0.15), multiply(rotate(5), zoom(1.05, 0.2, 0.7)))
  const [x, y] = project(m, -1 + 2 * (2 / 6), -1 + 2 * (3 / 4))
  expectClose(project(betweenPixels(m, [5, 7], [9, 13]), 2 - 3, 3 - 2), [6 * x, 4 * y], 12)
})

test('the extent of a batch is that of all its grid points', () => {
  const matrices = [multiply(warp(0.15, -0.1), multiply(rotate(7), zoom(1.05, 0.2, 0.9))), warp(-0.2, 0.05), identity]
  const values = matrices.flatMap((m) => {
    const places = Array.from({ length: 21 }, (_, i) => -1 + i / 10)
    return places.flatMap((x) => places.flatMap((y) => project(m, x, y)))
  })
  expect(extent(matrices)).toBeCloseTo(Math.max(...values) - Math.min(...values), 12)
  expect(extent([identity])).toBe(2)
  expect(extent([warp(0.5, 0.5)])).toBe(Infinity)
})
