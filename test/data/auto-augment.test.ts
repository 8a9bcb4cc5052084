import { expect, test } from 'vitest'
import { rng } from '../../src/base/rng.ts'
import { randAugment, trivialAugment } from '../../src/data/auto-augment.ts'
import type { PixelEdit } from '../../src/image/pixel-edits.ts'

const drawn = (count: number) => Array.from({ length: count }, (_, i) => trivialAugment().drawEdits(rng(3, 'ta', i)))

function strengths(edits: readonly PixelEdit[][]): Map<string, number[]> {
  const all = new Map<string, number[]>()
  for (const { op, by } of edits.flat()) all.set(op, [...(all.get(op) ?? []), by])
  return all
}

test("trivialAugment draws torchvision's operations, each as often and up to its strength", () => {
  const edits = drawn(28_000)
  const found = strengths(edits)
  // One of fourteen is no change; standard deviation 43.
  expect(Math.abs(edits.filter(({ length }) => length === 0).length - 2000)).toBeLessThan(172)
  for (const values of found.values()) expect(Math.abs(values.length - 2000)).toBeLessThan(172)
  const range = (op: string) => {
    const values = found.get(op) ?? []
    return [Math.min(...values), Math.max(...values), new Set(values.map(Math.abs)).size]
  }
  for (const op of ['shearX', 'shearY', 'brightness', 'color', 'contrast', 'sharpness']) {
    expect(range(op)).toEqual([-0.99, 0.99, 31])
  }
  for (const op of ['translateX', 'translateY']) expect(range(op)).toEqual([-32, 32, 31])
  expect(range('rotate')).toEqual([-135, 135, 31])
  // 8 - (arange(31) / (30 / 6)).round(): seven numbers of bits.
  expect(range('posterize')).toEqual([2, 8, 7])
  expect(range('solarize')).toEqual([0, 255, 31])
  expect([...found.keys()].sort()).toEqual(
    [
      ...['autoContrast', 'brightness', 'color', 'contrast', 'equalize', 'posterize', 'rotate', 'sharpness'],
      ...['shearX', 'shearY', 'solarize', 'translateX', 'translateY'],
    ].sort(),
  )
})

test('randAugment makes two operations of one strength, shifts in parts of the size', () => {
  const edits = Array.from({ length: 6000 }, (_, i) =>
    randAugment().drawEdits(rng(4, 'ra', i), { width: 331, height: 662 }),
  )
  const found = strengths(edits)
  const values = (op: string) => [...new Set(found.get(op))].sort((a, b) => a - b)
  const close = (op: string, expected: number) => {
    const [low, high] = values(op)
    expect([low, high]).toEqual([expect.closeTo(-expected, 9), expect.closeTo(expected, 9)])
  }
  // Strength 9 of 0 … 30.
  close('shearX', 0.09)
  close('translateX', 45)
  close('translateY', 90)
  close('rotate', 9)
  close('brightness', 0.27)
  expect(values('posterize')).toEqual([7])
  expect(values('solarize')).toEqual([178.5])
  expect(Math.max(...edits.map(({ length }) => length))).toBe(2)
})

test('options out of range are refused', () => {
  expect(() => trivialAugment({ bins: 1 })).toThrow('bins is out of range')
  expect(() => randAugment({ magnitude: 31 })).toThrow('magnitude is out of range')
  expect(() => randAugment({ count: 0 })).toThrow('count is out of range')
})
