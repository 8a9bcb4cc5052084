import { readFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import { coefficients, resample, resizeBox, resizePixels } from '../../src/data/resize.ts'
import type { Pixels, ResizePlan } from '../../src/platform/platform.ts'

interface Golden {
  readonly header: { readonly pillow: string }
  readonly cases: readonly {
    readonly source: readonly [number, number]
    readonly target: readonly [number, number]
    readonly method: ResizePlan['method']
    readonly position: readonly [number, number]
    readonly seed: number
    readonly crc: number
    readonly sum: number
    readonly all?: readonly number[]
    readonly first?: readonly number[]
  }[]
}

const golden: Golden = JSON.parse(readFileSync(new URL('../golden/resize.json', import.meta.url), 'utf8'))
const crop = (size: number, position: readonly [number, number] = [0.5, 0.5]): ResizePlan =>
  ({ width: size, height: size, method: 'crop', position })

/** The images of make_resize.py, with an alpha that must not matter. */
function picture(width: number, height: number, seed: number): Pixels {
  const data = new Uint8Array(width * height * 4)
  for (let i = 0, j = 0; i < data.length; i++) data[i] = i % 4 === 3 ? 77 : Math.floor((hash(j++, seed) / 2 ** 32) * 256)
  return { width, height, data }
}

function hash(index: number, seed: number): number {
  let x = (index + Math.imul(seed, 0x9e3779b9)) >>> 0
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d) >>> 0
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b) >>> 0
  return (x ^ (x >>> 16)) >>> 0
}

const rgb = ({ data }: Pixels): Uint8Array => data.filter((_, i) => i % 4 !== 3)

/** One row of grey pixels as an image, and back. */
const row = (values: number[]): Pixels => ({
  width: values.length,
  height: 1,
  data: Uint8Array.from(values.flatMap((v) => [v, v, v, 255])),
})
const reds = ({ data }: Pixels): number[] => [...data.filter((_, i) => i % 4 === 0)]

describe('the pixels are those of Pillow', () => {
  test.each(golden.cases)('$source → $target, $method at $position', (c) => {
    const plan = { width: c.target[0], height: c.target[1], method: c.method, position: c.position }
    const result = resizePixels(picture(...c.source, c.seed), plan)
    const bytes = rgb(result)
    expect([result.width, result.height]).toEqual(c.target)
    expect([...bytes.slice(0, (c.all ?? c.first ?? []).length)]).toEqual(c.all ?? c.first)
    const made = { crc: crc32(bytes), sum: bytes.reduce((a, b) => a + b, 0) }
    const hint = `differs from Pillow ${golden.header.pillow}; test/golden/make_resize.py makes the expected values`
    expect(made, hint).toEqual({ crc: c.crc, sum: c.sum })
    expect(result.data.every((v, i) => i % 4 !== 3 || v === 255)).toBe(true)
  })

  test('a row of 8 to 4 and to 3, by hand', () => {
    const ramp = row([0, 10, 20, 30, 40, 50, 60, 70])
    expect(reds(resizePixels(ramp, { width: 4, height: 1, method: 'squish', position: [0, 0] }))).toEqual([7, 25, 45, 63])
    expect(reds(resizePixels(ramp, { width: 3, height: 1, method: 'squish', position: [0, 0] }))).toEqual([11, 35, 59])
  })

  test('the weights of 8 to 4', () => {
    const { starts, counts, weights } = coefficients(8, 4)
    expect([starts[0], counts[0]]).toEqual([0, 3])
    expect([...weights.slice(0, 3)]).toEqual([1797559, 1797559, 599186])
    expect(coefficients(8, 4)).toBe(coefficients(8, 4))
  })

  test('white stays white and black black, whatever the ratio', () => {
    for (const size of [1, 2, 3, 7, 64, 97, 224, 1000]) {
      for (const newSize of [1, 2, 5, 60, 224, 233]) {
        const plan: ResizePlan = { width: newSize, height: 1, method: 'squish', position: [0, 0] }
        expect(new Set(reds(resizePixels(row(new Array<number>(size).fill(255)), plan)))).toEqual(new Set([255]))
        expect(new Set(reds(resizePixels(row(new Array<number>(size).fill(0)), plan)))).toEqual(new Set([0]))
      }
    }
  })
})

describe('the box is that of fastai', () => {
  test('the shorter side is kept, the position runs along the longer one', () => {
    expect(resizeBox(500, 375, crop(224))).toEqual({ left: 62, top: 0, width: 375, height: 375 })
    expect(resizeBox(375, 500, crop(224))).toEqual({ left: 0, top: 62, width: 375, height: 375 })
    expect(resizeBox(100, 80, crop(224))).toEqual({ left: 10, top: 0, width: 80, height: 80 })
    expect(resizeBox(500, 375, crop(224, [0, 0.9]))).toEqual({ left: 0, top: 0, width: 375, height: 375 })
    expect(resizeBox(500, 375, crop(224, [0.999, 0])).left).toBe(124)
  })

  test('rounding twice loses a pixel for some sizes', () => {
    expect(resizeBox(453, 600, crop(224))).toMatchObject({ width: 452, height: 452 })
    const lost = []
    for (let side = 1; side <= 920; side++) if (resizeBox(side, 2000, crop(224)).width < side) lost.push(side)
    expect(lost).toEqual([61, 115, 122, 230, 237, 244, 251, 453, 460, 467, 474, 481, 488, 495, 502, 509, 899, 906, 913, 920])
  })

  test('squish keeps everything, pad goes around it', () => {
    expect(resizeBox(500, 375, { ...crop(224), method: 'squish' })).toEqual({ left: 0, top: 0, width: 500, height: 375 })
    expect(resizeBox(500, 375, { ...crop(224), method: 'pad' })).toEqual({ left: 0, top: -62, width: 500, height: 500 })
  })

  test('an image one pixel wide still makes a picture', () => {
    const result = resizePixels(picture(1, 4000, 3), crop(224))
    expect(result.data.length).toBe(224 * 224 * 4)
  })
})

test('an image of the right size is copied, not changed', () => {
  const source = picture(224, 224, 5)
  const result = resizePixels(source, crop(224))
  expect(result.data).not.toBe(source.data)
  expect(rgb(result)).toEqual(rgb(source))
})

test('the padding mirrors again when it is wider than the image', () => {
  const result = resample(row([1, 2, 3]), { left: -5, top: 0, width: 13, height: 1 }, 13, 1)
  expect(reds(result)).toEqual([2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3, 2])
  expect(reds(resample(row([9]), { left: -2, top: 0, width: 4, height: 1 }, 4, 1))).toEqual([9, 9, 9, 9])
})

test('a plan that makes no sense is refused', () => {
  const source = picture(4, 4, 1)
  expect(() => resizePixels(source, { ...crop(0) })).toThrow(OptionError)
  expect(() => resizePixels(source, { ...crop(1.5) })).toThrow('1.5 × 1.5')
  expect(() => resizePixels(source, crop(2, [0.5, 1.1]))).toThrow('[0.5,1.1]')
  expect(() => resizePixels(source, crop(2, [Number.NaN, 0]))).toThrow(OptionError)
})
