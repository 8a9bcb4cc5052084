import { expect, test } from 'vitest'
import { DataError } from '../../src/base/errors.ts'
import { printable } from '../../src/base/printable.ts'

test('what a terminal would obey is shown instead', () => {
  expect(printable('a\x1b[31mred\x1b]0;title\x07\r\x9b2J')).toBe('a\\x1b[31mred\\x1b]0;title\\x07\\x0d\\x9b2J')
  expect(printable('exe.\u202egpj')).toBe('exe.\\u202egpj')
  const letters = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, i) => String.fromCharCode(from + i))
  const obeyed = [
    [0x00, 0x08],
    [0x0b, 0x1f],
    [0x7f, 0x9f],
    [0x2028, 0x202e],
    [0x2066, 0x2069],
  ]
  for (const letter of obeyed.flatMap(([from, to]) => letters(from, to))) {
    expect(printable(letter)).toMatch(/^\\(x..|u....)$/)
  }
  expect(printable('two\nlines\tof grün, 猫 and 🐈')).toBe('two\nlines\tof grün, 猫 and 🐈')
})

test('errors show names and values so, and shorten what is long', () => {
  const error = new DataError('train/\x1b[2J/a\nb.jpg', "the label '\x1b[5m' is not there", {
    given: { cell: '\x1b[0m', shape: 'x'.repeat(5000) },
  })
  expect(error.message).not.toMatch(/\x1b/)
  expect(error.message.split('\n')[0]).toBe("train/\\x1b[2J/a\\x0ab.jpg: the label '\\x1b[5m' is not there")
  expect(error.message.length).toBeLessThan(2500)
})
