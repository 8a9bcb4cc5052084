import { expect, test } from 'vitest'
import { contactSheet, toPicture } from '../../src/data/show.ts'

const stats = { mean: [0.5, 0.25, 0], std: [0.5, 1, 2] } as const

test('normalisation is taken back, values are kept in range and truncated', () => {
  const picture = toPicture([0, 0, 0, 1, 0.25, 0.1, -5, 5, 0.4999], 3, 1, stats)
  expect([...picture.data]).toEqual([127, 63, 0, 255, 255, 127, 51, 255, 0, 255, 254, 255])
})

test('pictures stand in a grid, labels below them', () => {
  const grey = (value: number) => ({ width: 24, height: 10, data: new Uint8Array(24 * 10 * 4).fill(value) })
  const sheet = contactSheet([
    { picture: grey(50), label: 'ab' }, { picture: grey(100), label: 'i' }, { picture: grey(200), label: 'toolong' },
  ])
  expect([sheet.width, sheet.height]).toEqual([4 + 2 * 28, 4 + 2 * (10 + 14 + 4)])
  const at = (x: number, y: number) => sheet.data[(y * sheet.width + x) * 4]
  expect([at(4, 4), at(27, 13), at(28, 4), at(32, 4), at(4, 32)]).toEqual([50, 50, 0, 100, 200])
  // An A, an I below the second, a cut text below the third.
  const dots = (left: number, top: number) => Array.from({ length: 5 }, (_, y) => Array.from({ length: 12 }, (_, x) => (at(left + 2 * x, top + 2 * y) ? '#' : '.')).join(''))
  expect(dots(4, 16)).toEqual(['.#..##......', '#.#.#.#.....', '###.##......', '#.#.#.#.....', '#.#.##......'])
  expect(dots(32, 16)[0]).toBe('###.........')
  expect(dots(4, 44)[0]).toBe('###..#...#..')
  expect(sheet.data.every((value, i) => i % 4 !== 3 || value === 255 || value === 50 || value === 100 || value === 200)).toBe(true)
})
