import { expect, test } from 'vitest'
import { formatBytes, formatClock, formatRate, formatTime } from '../../src/base/format.ts'

test('bytes have three digits and the largest unit that leaves at least one', () => {
  expect([0, 1023, 1024, 1536, 2 ** 27, 2.34 * 2 ** 30, 5000 * 2 ** 40].map(formatBytes)).toEqual([
    ...['0 B', '1023 B', '1.00 KiB', '1.50 KiB', '128 MiB', '2.34 GiB', '5000 TiB'],
  ])
})

test('times', () => {
  expect([0.41, 1, 12.04, 999, 1000, 32_000].map(formatTime)).toEqual([
    ...['410 µs', '1.00 ms', '12.0 ms', '999 ms', '1.00 s', '32.0 s'],
  ])
  expect([0, 59_999, 60_000, 136_900, 3_599_999, 3_600_000, 36_061_000].map(formatClock)).toEqual([
    ...['00:00', '00:59', '01:00', '02:16', '59:59', '1:00:00', '10:01:01'],
  ])
})

test('rates', () => {
  const rates = [5, 1000, 999_000, 45.8e9, 2e12].map((amount) => formatRate(amount, 1000, 'FLOP'))
  expect(rates).toEqual(['5.00 FLOP/s', '1.00 kFLOP/s', '999 kFLOP/s', '45.8 GFLOP/s', '2.00 TFLOP/s'])
})
