import { expect, test } from 'vitest'
import { rng } from '../../../src/base/rng.ts'
import { randomResizedCropGpu, reducedSize } from '../../../src/data/augment/crop.ts'

test('half to all of a 224 square: sides from 158 to 224, 193 on average', () => {
  const crop = randomResizedCropGpu(128, { minScale: 0.5, ratio: [1, 1] })
  const boxes = Array.from({ length: 4000 }, (_, i) => crop.draw(rng(1, 'crop', i), 224, 224, 'train'))
  const sides = boxes.map(({ width }) => width)
  expect(Math.min(...sides)).toBe(158)
  expect(Math.max(...sides)).toBe(224)
  // Mean of √U(½,1)·224 = 224·(2/3)(1 − ½^1.5)/½; deviation 19, so the mean of 4000 strays by 0.3.
  expect(Math.abs(sides.reduce((a, b) => a + b) / 4000 - 193.08)).toBeLessThan(1.2)
  for (const { top, left, height, width } of boxes) {
    expect(height).toBe(width)
    expect(top >= 0 && left >= 0 && top + height <= 224 && left + width <= 224).toBe(true)
  }
  // Every place is taken: for the smaller boxes both ends are reached.
  const smaller = boxes.filter(({ width }) => width < 200)
  expect(Math.min(...smaller.map(({ top }) => top))).toBe(0)
  expect(smaller.some(({ left, width }) => left + width === 224)).toBe(true)
})

test('boxes of other shapes stay inside their ratio and area', () => {
  const crop = randomResizedCropGpu([20, 30])
  expect(crop.size).toEqual([20, 30])
  for (let i = 0; i < 500; i++) {
    const { width, height } = crop.draw(rng(2, 'crop', i), 300, 400, 'train')
    // Both sides are rounded.
    expect((width + 0.5) / (height - 0.5)).toBeGreaterThan(3 / 4)
    expect((width - 0.5) / (height + 0.5)).toBeLessThan(4 / 3)
    expect((width + 0.5) * (height + 0.5)).toBeGreaterThan(0.08 * 300 * 400)
  }
})

test.each([
  ['the whole of a square', 224, 224, [1, 1], 1, { top: 0, left: 0, height: 224, width: 224 }],
  ['the middle of a wide one', 37, 53, [1, 1], 1, { top: 0, left: 8, height: 37, width: 37 }],
  ['the middle of a tall one', 53, 37, [1, 1], 1, { top: 8, left: 0, height: 37, width: 37 }],
  ['what the ratio allows', 300, 500, [3 / 4, 4 / 3], 1, { top: 0, left: 50, height: 300, width: 400 }],
  ['part of a square', 101, 101, [1, 1], 0.9, { top: 5, left: 5, height: 90, width: 90 }],
] as const)('validation takes %s', (_, height, width, ratio, validScale, box) => {
  expect(randomResizedCropGpu(64, { ratio, validScale }).draw(rng(0, 'crop'), height, width, 'valid')).toEqual(box)
})

test('when no random box fits, the one in the middle', () => {
  const crop = randomResizedCropGpu(64, { minScale: 1, ratio: [1, 1], validScale: 0.5 })
  expect(crop.draw(rng(0, 'crop'), 30, 50, 'train')).toEqual({ top: 0, left: 10, height: 30, width: 30 })
})

test('a picture is averaged down before it is sampled only when it shrinks by more than two', () => {
  const square = (from: number, to: number, extent?: number) => reducedSize([from, from], [to, to], extent)[0]
  expect([square(224, 224), square(224, 128), square(158, 128), square(128, 64)]).toEqual([224, 224, 158, 128])
  expect([square(512, 128), square(460, 224), square(320, 128), square(512, 100)]).toEqual([256, 448, 256, 200])
  const sides = Array.from({ length: 67 }, (_, i) => 158 + i)
  expect(sides.filter((side) => square(side, 64) === 127)).toEqual([161, 187, 196, 197, 206, 214])
  expect(sides.filter((side) => side > 192 && square(side, 96) === 191)).toEqual([194, 197, 206, 209, 212, 221])
  // Zooming in by as much undoes it; and both axes have to shrink.
  expect([square(512, 128, 1), square(512, 128, 1.01), square(512, 128, Infinity)]).toEqual([512, 256, 256])
  expect(reducedSize([224, 448], [128, 64])).toEqual([224, 448])
  expect(reducedSize([90, 150], [30, 40])).toEqual([60, 100])
})

test('impossible options are refused', () => {
  expect(() => randomResizedCropGpu(64, { minScale: 0 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: randomResizedCropGpu: the scales are parts of the area
      minScale  0
      maxScale  1
      expected 0 < minScale ≤ maxScale ≤ 1]
  `)
  expect(() => randomResizedCropGpu(64, { minScale: 0.9, maxScale: 0.5 })).toThrow('the scales are parts of the area')
  expect(() => randomResizedCropGpu(64, { maxScale: 1.5 })).toThrow('the scales are parts of the area')
  expect(() => randomResizedCropGpu(64, { ratio: [2, 1] })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: randomResizedCropGpu: the ratio is a range of width / height
      ratio  [2,1]
      expected 0 < ratio[0] ≤ ratio[1]]
  `)
  expect(() => randomResizedCropGpu(64, { validScale: 1.1 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: randomResizedCropGpu: validScale is out of range
      validScale  1.1
      expected above 0 and at most 1]
  `)
  expect(() => randomResizedCropGpu([64, 1.5])).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: randomResizedCropGpu: size is out of range
      size  [64,1.5]
      expected a whole number from 2 to 10000 in pixels, or [height, width]]
  `)
  for (const size of [1, 10_001]) expect(() => randomResizedCropGpu(size)).toThrow('size is out of range')
})
