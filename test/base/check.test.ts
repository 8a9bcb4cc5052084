import { describe, expect, test } from 'vitest'
import { requireInteger, requireNumber, requireRange, type Range } from '../../src/base/check.ts'
import { OptionError } from '../../src/base/errors.ts'

const COUNT: Range = { from: 1 }
const BYTE: Range = { from: 0, to: 255 }
const SHARE: Range = { from: 0, to: 1 }
const MOMENTUM: Range = { from: 0, below: 1 }
const POSITIVE: Range = { above: 0 }
const RATIO: Range = { above: 0, to: 1 }

test.each([
  [1, COUNT],
  [2 ** 40, COUNT],
  [0, BYTE],
  [255, BYTE],
  [-7, {}],
])('the integer %s is accepted in %j', (value, range) => {
  expect(() => requireInteger('f', 'n', value, range)).not.toThrow()
})

test.each([
  [0, SHARE],
  [1, SHARE],
  [0, MOMENTUM],
  [0.99, MOMENTUM],
  [1e-30, POSITIVE],
  [3.4028234663852886e38, POSITIVE],
  [1, RATIO],
])('the number %s is accepted in %j', (value, range) => {
  expect(() => requireNumber('f', 'x', value, range)).not.toThrow()
})

test.each([
  [0, COUNT, 'a whole number from 1 on'],
  [1.5, COUNT, 'a whole number from 1 on'],
  ['1', COUNT, 'a whole number from 1 on'],
  [NaN, BYTE, 'a whole number from 0 to 255'],
  [256, BYTE, 'a whole number from 0 to 255'],
  [Infinity, {}, 'a whole number'],
])('the integer %s is refused in %j', (value, range, expected) => {
  const refused = () => requireInteger('f', 'n', value, range)
  expect(refused).toThrow(OptionError)
  expect(refused).toThrow(`f: n is out of range\n  n  ${value}\n  expected ${expected}`)
})

test.each([
  [-0.1, SHARE, '0 to 1'],
  [1, MOMENTUM, 'at least 0 and below 1'],
  [NaN, MOMENTUM, 'at least 0 and below 1'],
  [0, POSITIVE, 'above 0'],
  [Infinity, POSITIVE, 'above 0, up to 3.40e+38 as in f32'],
  [1e39, POSITIVE, 'above 0, up to 3.40e+38 as in f32'],
  [-1e39, {}, 'a finite number, up to 3.40e+38 as in f32'],
  [Infinity, SHARE, '0 to 1'],
  ['1', SHARE, '0 to 1'],
  [0, RATIO, 'above 0 and at most 1'],
  [-1, { from: 0 }, 'at least 0'],
  [Infinity, {}, 'a finite number'],
])('the number %s is refused in %j', (value, range, expected) => {
  expect(() => requireNumber('f', 'x', value, range)).toThrow(
    `f: x is out of range\n  x  ${value}\n  expected ${expected}`,
  )
})

describe('a condition', () => {
  test('may concern several arguments, of which the first is named', () => {
    expect(() => requireRange('f', { low: 2, high: 1 }, false, 'low ≤ high')).toThrow(
      'f: low is out of range\n  low   2\n  high  1\n  expected low ≤ high',
    )
    expect(() => requireRange('f', { low: 1, high: 2 }, true, 'low ≤ high')).not.toThrow()
  })
})
