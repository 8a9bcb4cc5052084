import { readFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import { BOX_NUMBERS } from '../../src/image/box.ts'
import {
  coefficients,
  dependsOnPlace,
  dihedralPixels,
  mirrored,
  resample,
  resizeBox,
  resizePixels,
} from '../../src/image/resize.ts'
import type { FitPlan, ResizePlan } from '../../src/image/resize-plan.ts'
import type { Pixels } from '../../src/image/pixels.ts'

interface Golden {
  readonly header: { readonly pillow: string }
  readonly cases: readonly (PlanCase & {
    readonly source: readonly [number, number]
    readonly target: readonly [number, number]
    readonly mirror?: boolean
    readonly seed: number
    readonly crc: number
    readonly sum: number
    readonly all?: readonly number[]
    readonly first?: readonly number[]
  })[]
}

type Pair = readonly [number, number]
type PlanCase =
  | { readonly method: FitPlan['method']; readonly position: Pair }
  | { readonly method: 'random-crop'; readonly scale: Pair; readonly ratio: Pair; readonly box: readonly number[] }
  | { readonly method: 'middle'; readonly extra: number }

const golden: Golden = JSON.parse(readFileSync(new URL('../golden/resize.json', import.meta.url), 'utf8'))
const crop = (size: number, position: readonly [number, number] = [0.5, 0.5]): FitPlan => ({
  width: size,
  height: size,
  method: 'crop',
  position,
})

/** The images of make_resize.py, with an alpha that must not matter. */
function picture(width: number, height: number, seed: number): Pixels {
  const data = new Uint8Array(width * height * 4)
  for (let i = 0, j = 0; i < data.length; i++) {
    data[i] = i % 4 === 3 ? 77 : Math.floor((hash(j++, seed) / 2 ** 32) * 256)
  }
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

/** The plan of a case; the draws of random crop number i are hash_uniform(22, 1000 + i), as in make_resize.py. */
function planOf(c: Golden['cases'][number]): ResizePlan {
  const size = { width: c.target[0], height: c.target[1], mirror: c.mirror }
  if (c.method !== 'random-crop') return { ...size, ...c }
  const number = golden.cases.filter(({ method }) => method === 'random-crop').indexOf(c)
  return { ...size, ...c, draws: Array.from({ length: BOX_NUMBERS }, (_, i) => hash(i, 1000 + number) / 2 ** 32) }
}

describe('the pixels are those of Pillow', () => {
  test.each(golden.cases)('$source → $target, $method, number $seed', (c) => {
    const plan = planOf(c)
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
    expect(reds(resizePixels(ramp, { width: 4, height: 1, method: 'squish', position: [0, 0] }))).toEqual([
      7, 25, 45, 63,
    ])
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
    expect(lost).toEqual([
      61, 115, 122, 230, 237, 244, 251, 453, 460, 467, 474, 481, 488, 495, 502, 509, 899, 906, 913, 920,
    ])
  })

  test('squish keeps everything, pad goes around it', () => {
    expect(resizeBox(500, 375, { ...crop(224), method: 'squish' })).toEqual({
      left: 0,
      top: 0,
      width: 500,
      height: 375,
    })
    expect(resizeBox(500, 375, { ...crop(224), method: 'pad' })).toEqual({ left: 0, top: -62, width: 500, height: 500 })
  })

  test('an image one pixel wide still makes a picture', () => {
    const result = resizePixels(picture(1, 4000, 3), crop(224))
    expect(result.data.length).toBe(224 * 224 * 4)
  })
})

describe('a random box', () => {
  const plan = (draws: readonly number[], ratio: Pair = [3 / 4, 4 / 3], scale: Pair = [0.08, 1]): ResizePlan => ({
    method: 'random-crop',
    width: 8,
    height: 8,
    scale,
    ratio,
    draws: [...draws, ...new Array<number>(BOX_NUMBERS).fill(0.5)],
  })

  test.each(golden.cases.filter(({ method }) => method === 'random-crop'))(
    '$source is that of fastai, number $seed',
    (c) => {
      const { left, top, width, height } = resizeBox(...c.source, planOf(c))
      expect([left, top, width, height]).toEqual('box' in c && c.box)
    },
  )

  test('area, shape, top and left, each from its smallest to its largest', () => {
    const whole = { width: 400, height: 300 }
    expect(resizeBox(400, 300, plan([0, 0.5]))).toMatchObject({ width: 98, height: 98 })
    expect(resizeBox(400, 300, plan([0, 0, 0, 0]))).toEqual({ left: 0, top: 0, width: 85, height: 113 })
    expect(resizeBox(400, 300, plan([0, 0, 0.999, 0]))).toMatchObject({ left: 0, top: 187 })
    expect(resizeBox(400, 300, plan([0, 0, 0, 0.999]))).toMatchObject({ left: 315, top: 0 })
    expect(resizeBox(400, 300, plan([0.999999, 0.999999]))).toMatchObject(whole)
  })

  test('sides are rounded to even, and one that does not fit is drawn again', () => {
    const half = (size: number) => resizeBox(size, size, plan([0, 0], [1, 1], [0.25, 0.25])).width
    expect([half(5), half(7), half(9)]).toEqual([2, 4, 4])
    // The first box would be 346 high.
    expect(resizeBox(400, 300, plan([0.999, 0.2, 0, 0.5, 0, 0]))).toEqual({ left: 0, top: 0, width: 98, height: 98 })
  })

  test('the tenth is the last that is tried', () => {
    const misfits = (count: number) => Array.from({ length: count }, () => [0.999, 0.2]).flat()
    expect(resizeBox(400, 300, plan([...misfits(9), 0, 0.5]))).toMatchObject({ width: 98, height: 98 })
    expect(resizeBox(400, 300, plan([...misfits(10), 0, 0.5]))).toEqual({ left: 0, top: 0, width: 400, height: 300 })
  })

  test('after ten that do not fit, the largest allowed one in the middle', () => {
    expect(resizeBox(400, 100, plan([], [3 / 4, 4 / 3], [1, 1]))).toEqual({
      left: 133,
      top: 0,
      width: 133,
      height: 100,
    })
    expect(resizeBox(100, 400, plan([], [3 / 4, 4 / 3], [1, 1]))).toEqual({
      left: 0,
      top: 133,
      width: 100,
      height: 133,
    })
  })

  test('too few numbers are refused', () => {
    expect(() => resizeBox(40, 40, { ...plan([]), draws: [0.5] } as ResizePlan)).toThrow(OptionError)
  })
})

test('mirroring exchanges left and right of every row, and comes before the crop', () => {
  const source = picture(5, 3, 2)
  const { width, height, data } = mirrored(source)
  expect([width, height]).toEqual([5, 3])
  for (let y = 0; y < 3; y++) {
    const pixel = (of: Uint8Array, x: number) => [...of.slice((y * 5 + x) * 4, (y * 5 + x) * 4 + 4)]
    for (let x = 0; x < 5; x++) expect(pixel(data, x)).toEqual(pixel(source.data, 4 - x))
  }
  // Pixels that begin inside a larger buffer.
  const inside = new Uint8Array(64).subarray(4, 64)
  inside.set(source.data)
  expect(mirrored({ width, height, data: inside }).data).toEqual(data)

  const ramp = row([0, 10, 20, 30, 40])
  const left = { width: 2, height: 1, method: 'crop', position: [0, 0] } as const
  expect(reds(resizePixels(row([0, 10, 20, 30]), { ...left, mirror: true }))).toEqual([30, 20])
  expect(reds(resizePixels(ramp, { method: 'whole', mirror: true }))).toEqual([40, 30, 20, 10, 0])
})

test('whether the place of a crop matters', () => {
  expect([dependsOnPlace(crop(8)), dependsOnPlace({ method: 'whole' })]).toEqual([undefined, false])
  expect(dependsOnPlace(crop(8), { width: 16, height: 16 })).toBe(false)
  expect(dependsOnPlace(crop(8), { width: 16, height: 9 })).toBe(true)
  expect(dependsOnPlace(crop(8), { width: 9, height: 16 })).toBe(true)
  expect(dependsOnPlace({ ...crop(8), height: 4 }, { width: 16, height: 8 })).toBe(false)
  expect(dependsOnPlace({ ...crop(8), method: 'squish' }, { width: 16, height: 9 })).toBe(false)
  expect(dependsOnPlace({ ...crop(8), method: 'pad' }, { width: 16, height: 9 })).toBe(true)
  // Here fastai's rounding loses a pixel, which no position below 1 reaches.
  expect(dependsOnPlace(crop(224), { width: 453, height: 453 })).toBe(false)
  expect(dependsOnPlace({ method: 'middle', width: 8, height: 8, extra: 8 }, { width: 16, height: 9 })).toBe(false)
  expect(dependsOnPlace({ method: 'whole' }, { width: 16, height: 9 })).toBe(false)
  expect(
    dependsOnPlace({ method: 'random-crop', width: 8, height: 8, scale: [0.5, 1], ratio: [1, 1], draws: [] }),
  ).toBe(true)
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
  expect(() => resizePixels(source, { method: 'middle', width: 2, height: 2, extra: 3 })).toThrow('there is no middle')
  expect(() => resizePixels(source, { ...crop(2), method: 'stretch' as 'crop' })).toThrow(
    "there is no method 'stretch'",
  )
})

describe('beyond the border', () => {
  const box = { left: -2, top: 0, width: 7, height: 1 }

  test.each([
    ['reflection', [3, 2, 1, 2, 3, 2, 1]],
    ['border', [1, 1, 1, 2, 3, 3, 3]],
    ['zeros', [0, 0, 1, 2, 3, 0, 0]],
  ] as const)('%s', (padMode, expected) => {
    const padded = resample(row([1, 2, 3]), box, 7, 1, padMode)
    expect(reds(padded)).toEqual(expected)
    // Opaque everywhere.
    expect(padded.data.filter((_, i) => i % 4 === 3)).toEqual(new Uint8Array(7).fill(255))
  })

  test('padding with zeros keeps the aspect, black above and below', () => {
    const wide = { width: 4, height: 2, data: new Uint8Array(32).fill(255) }
    const plan = { method: 'pad', width: 4, height: 4, position: [0.5, 0.5], padMode: 'zeros' } as const
    expect(reds(resizePixels(wide, plan))).toEqual([0, 255, 255, 0].flatMap((value) => new Array(4).fill(value)))
  })

  test('a pad mode that does not exist is refused', () => {
    const plan = { ...crop(2), method: 'pad', padMode: 'wrap' as 'zeros' } as const
    expect(() => resizePixels(row([1, 2]), plan)).toThrow("there is no pad mode 'wrap'")
  })
})

describe('a window', () => {
  const window = { method: 'window', width: 4, height: 4, padding: 1, padMode: 'zeros' } as const
  const source = picture(4, 4, 3)

  test('is the middle in validation, without padding and resampling', () => {
    expect(rgb(resizePixels(source, { method: 'window', width: 4, height: 4, padding: 1, padMode: 'zeros' }))).toEqual(
      rgb(source),
    )
    // As fastai's (size - crop) // 2, which rounds down below zero too.
    expect(resizeBox(7, 4, window)).toEqual({ left: 1, top: 0, width: 4, height: 4 })
    expect(resizeBox(3, 2, window)).toEqual({ left: -1, top: -1, width: 4, height: 4 })
    expect(dependsOnPlace(window)).toBe(false)
  })

  test('reaches every place of the padded image, and no other', () => {
    const lefts = (width: number, padding: number) => [
      ...new Set(
        [0, 0.2, 0.4, 0.6, 0.8, 0.999].map((at) => resizeBox(width, 4, { ...window, padding, position: [at, 0] }).left),
      ),
    ]
    expect(lefts(4, 1)).toEqual([-1, 0, 1])
    expect(lefts(6, 0)).toEqual([0, 1, 2])
    // A smaller image lies anywhere inside the window.
    expect(lefts(2, 0)).toEqual([-2, -1, 0])
    expect(dependsOnPlace({ ...window, position: [0, 0] })).toBe(true)
  })

  test('is black beyond the image', () => {
    const moved = resizePixels(source, { ...window, position: [0, 0] })
    expect(reds(moved).filter((_, i) => i < 4 || i % 4 === 0)).toEqual(new Array(7).fill(0))
    expect(reds(moved).slice(5, 8)).toEqual(reds(source).slice(0, 3))
  })
})

test('the symmetries of the square are those of Pillow', () => {
  const [a, b, c, d, e, f] = [1, 2, 3, 4, 5, 6]
  const source = { ...row([a, b, c, d, e, f]), width: 3, height: 2 }
  const turned = Array.from({ length: 8 }, (_, k) => dihedralPixels(source, k))
  expect(turned.map(({ width, height }) => `${width}x${height}`)).toEqual([
    '3x2',
    '3x2',
    '3x2',
    '2x3',
    '3x2',
    '2x3',
    '2x3',
    '2x3',
  ])
  expect(turned.map(reds)).toEqual([
    [a, b, c, d, e, f],
    [c, b, a, f, e, d],
    [d, e, f, a, b, c],
    [c, f, b, e, a, d],
    [f, e, d, c, b, a],
    [d, a, e, b, f, c],
    [a, d, b, e, c, f],
    [f, c, e, b, d, a],
  ])
  expect(turned[1]).toEqual(mirrored(source))
})

test('a turn comes before the crop', () => {
  const source = { ...row([1, 2, 3, 4, 5, 6]), width: 3, height: 2 }
  // Turned by 90°, the image is 2 × 3; its upper square is 3 6 / 2 5.
  const plan = { method: 'crop', width: 2, height: 2, position: [0, 0], dihedral: 3 } as const
  expect(reds(resizePixels(source, plan))).toEqual([3, 6, 2, 5])
  expect(resizeBox(3, 2, plan)).toEqual({ left: 0, top: 0, width: 2, height: 2 })
  expect(reds(resizePixels(source, { method: 'whole', dihedral: 4 }))).toEqual([6, 5, 4, 3, 2, 1])
})
