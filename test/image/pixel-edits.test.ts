import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import { editPixels, type PixelEdit } from '../../src/image/pixel-edits.ts'
import type { Pixels } from '../../src/image/pixels.ts'

interface Golden {
  readonly width: number
  readonly height: number
  readonly pixels: string
  readonly cases: readonly (PixelEdit & { readonly pixels: string })[]
}
const golden = JSON.parse(readFileSync(new URL('../golden/edits.json', import.meta.url), 'utf8')) as Golden
const { width, height } = golden
const source = rgba(golden.pixels)

function rgba(hex: string): Pixels {
  const bytes = Buffer.from(hex, 'hex')
  const data = Uint8Array.from({ length: (bytes.length / 3) * 4 }, (_, i) =>
    i % 4 === 3 ? 255 : bytes[3 * (i >> 2) + (i % 4)],
  )
  return { width, height, data }
}

describe("edits are Pillow's", () => {
  test.each(golden.cases.map((one) => [`${one.op} ${one.by}`, one] as const))('%s', (_name, { op, by, pixels }) => {
    expect(editPixels(source, [{ op, by }])).toEqual(rgba(pixels))
  })
})

test('edits follow one another and leave the image that was given as it is', () => {
  const before = source.data.slice()
  const [first, second] = [
    { op: 'translateX', by: 2 },
    { op: 'solarize', by: 100 },
  ] as const
  expect(editPixels(source, [first, second])).toEqual(editPixels(editPixels(source, [first]), [second]))
  expect(source.data).toEqual(before)
  expect(editPixels(source, [])).toBe(source)
})

test('images of one color and of one pixel stay as they are where there is nothing to stretch', () => {
  const one = { width: 1, height: 1, data: Uint8Array.of(7, 8, 9, 255) }
  for (const op of ['autoContrast', 'equalize', 'sharpness', 'rotate'] as const) {
    expect(editPixels(one, [{ op, by: 0 }])).toEqual(one)
  }
})

test('an image whose brightest color fills all but a few pixels is not equalized', () => {
  // 300 pixels, 200 of them of the brightest color: the step is ⌊(300 − 200) / 255⌋ = 0.
  const data = Uint8Array.from({ length: 300 * 4 }, (_, i) => (i % 4 === 3 ? 255 : i < 100 * 4 ? 40 : 200))
  const image = { width: 300, height: 1, data }
  expect(editPixels(image, [{ op: 'equalize', by: 0 }])).toEqual(image)
})

test('an operation that does not exist is refused', () => {
  expect(() => editPixels(source, [{ op: 'blur' as 'rotate', by: 1 }])).toThrow(OptionError)
})
