import { expect, test } from 'vitest'
import { floatToHalf, halfToFloat } from '../../src/tensor/half.ts'

test('every half becomes itself again, and a number between two becomes the nearer one, ties to even', () => {
  for (let half = 0; half < 0x7c00; half++) {
    const [value, next] = [halfToFloat(half), half + 1 < 0x7c00 ? halfToFloat(half + 1) : 65536]
    const middle = (value + next) / 2
    expect([value, middle - (next - value) / 8, middle + (next - value) / 8].map(floatToHalf)).toEqual([
      ...[half, half, half + 1],
    ])
    expect(floatToHalf(middle)).toBe(half + (half % 2))
    expect(floatToHalf(-value)).toBe(half | 0x8000)
  }
})

test('infinity stays infinity, and NaN stays NaN', () => {
  expect([Infinity, -Infinity, NaN, 65519.99, 65520].map(floatToHalf)).toEqual([0x7c00, 0xfc00, 0x7e00, 0x7bff, 0x7c00])
  expect([0x7c00, 0xfc00, 0x7e00].map(halfToFloat)).toEqual([Infinity, -Infinity, NaN])
})
