import { expect, test } from 'vitest'
import { inGrey } from '../../src/image/grey.ts'
import { golden } from '../helpers/golden.ts'

const { colors } = golden<{ colors: readonly (readonly [number, number, number, number])[] }>('grey')

test('every color has the grey of Pillow', () => {
  const data = Uint8Array.from(colors.flatMap(([r, g, b]) => [r, g, b, 255]))
  const grey = inGrey({ width: colors.length, height: 1, data })
  expect(Array.from(grey.data)).toEqual(colors.flatMap(([, , , l]) => [l, l, l, 255]))
  // The image itself stays as it was.
  expect(data[0]).toBe(colors[0][0])
})

test('grey stays what it is, and so does transparency', () => {
  const data = Uint8Array.from({ length: 256 * 4 }, (_, i) => (i % 4 === 3 ? i % 256 : Math.floor(i / 4)))
  expect(inGrey({ width: 256, height: 1, data }).data).toEqual(data)
})
