import { describe, expect, test } from 'vitest'
import { rng } from '../../../src/base/rng.ts'
import { affine, type AffineOptions } from '../../../src/data/augment/affine.ts'
import { hue, saturation } from '../../../src/data/augment/colour.ts'
import { augmentStream, drawMasked } from '../../../src/data/augment/draw.ts'
import { erasingNoise, randomErasing, type ErasingOptions } from '../../../src/data/augment/erasing.ts'
import { lighting } from '../../../src/data/augment/lighting.ts'
import { identity } from '../../../src/data/augment/matrix.ts'
import { cifarStats, imagenetStats, normalize } from '../../../src/data/augment/normalize.ts'
import { chain, drawBatch, plan } from '../../../src/data/augment/plan.ts'
import { augTransforms, type BatchTransform } from '../../../src/data/augment/transforms.ts'
import { resize } from '../../../src/data/item-transforms.ts'

const kinds = (transforms: readonly { readonly kind: string }[]) => transforms.map(({ kind }) => kind)

test('the usual ones: one for geometry, one for light', () => {
  const transforms = augTransforms()
  expect(kinds(transforms)).toEqual(['affine', 'lighting'])
  expect(transforms).toMatchObject([
    {
      flips: 'horizontal',
      maxRotate: 10,
      minZoom: 1,
      maxZoom: 1.1,
      maxWarp: 0.2,
      p: 0.75,
      batch: false,
      size: undefined,
      order: 30,
    },
    { maxLighting: 0.2, p: 0.75, batch: false, order: 40 },
  ])
})

test('the size belongs to the affine transform, with minScale to the crop', () => {
  expect(augTransforms({ size: 128 })).toMatchObject([{ kind: 'affine', size: [128, 128] }, { kind: 'lighting' }])
  const cropping = augTransforms({ size: [96, 128], minScale: 0.5 })
  expect(cropping).toMatchObject([
    { kind: 'affine', size: undefined },
    { kind: 'lighting' },
    { kind: 'crop', size: [96, 128] },
  ])
  const chained = Object.values(chain([normalize(imagenetStats), ...cropping])).filter(
    (transform) => transform !== undefined && 'kind' in transform,
  )
  expect(kinds(chained)).toEqual(['affine', 'crop', 'lighting', 'normalize'])
})

test('mult multiplies rotation, warp and light, not the zoom', () => {
  expect(augTransforms({ mult: 2 })).toMatchObject([
    { maxRotate: 20, maxWarp: 0.4, maxZoom: 1.1 },
    { maxLighting: 0.4 },
  ])
})

test('a maximum of zero leaves its transform out', () => {
  const still = { doFlip: false, maxRotate: 0, maxWarp: 0, maxZoom: 1 }
  expect(kinds(augTransforms({ maxLighting: 0 }))).toEqual(['affine'])
  expect(kinds(augTransforms(still))).toEqual(['lighting'])
  expect(kinds(augTransforms({ ...still, mult: 0 }))).toEqual([])
  expect(kinds(augTransforms({ ...still, size: 64 }))).toEqual(['affine', 'lighting'])
  expect(augTransforms({ flipVert: true })).toMatchObject([{ flips: 'dihedral' }, {}])
  expect(augTransforms({ ...still, maxZoom: 1.2, doFlip: undefined })).toMatchObject([{ flips: 'horizontal' }, {}])
})

test('options out of range are refused', () => {
  expect(() => augTransforms({ minScale: 0.5 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: augTransforms: a crop needs a size
      minScale  0.5
      Fix: pass size too]
  `)
  expect(() => augTransforms({ mult: 5 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: augTransforms: mult · maxLighting is out of range
      mult · maxLighting  1
      expected at least 0 and below 1]
  `)
  expect(() => augTransforms({ maxWarp: 0.8 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: augTransforms: mult · maxWarp is out of range
      mult · maxWarp  0.8
      expected at least 0 and below √½]
  `)
  expect(() => augTransforms({ minZoom: 2 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: augTransforms: minZoom … maxZoom is out of range
      minZoom … maxZoom  2 … 1.1
      expected 0 < minZoom ≤ maxZoom]
  `)
  expect(() => augTransforms({ pAffine: 75 })).toThrow('pAffine is out of range')
  expect(() => augTransforms({ pLighting: NaN })).toThrow('pLighting is out of range')
  expect(() => augTransforms({ maxRotate: -1 })).toThrow('mult · maxRotate is out of range')
  expect(() => augTransforms({ size: 0 })).toThrow('size is out of range')
  expect(() => augTransforms({ size: 64, minScale: 1.5 })).toThrow('the scales are parts of the area')
  expect(() => augTransforms({ mode: 'nearest' as 'bilinear' })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: augTransforms: mode is out of range
      mode  nearest
      expected 'bilinear', the only one there is]
  `)
  expect(() => augTransforms({ padMode: 'wrap' as 'zeros' })).toThrow("there is no pad mode 'wrap'")
  expect(() => augTransforms({ alignCorners: false as true })).toThrow('alignCorners is out of range')
  for (const stats of [
    { mean: [NaN, 0, 0], std: [1, 1, 1] },
    { mean: [0, 0, 0], std: [1, Infinity, 1] },
    { mean: [0.5, 0.5, 0.5], std: [0.2] },
  ] as const) {
    expect(() => normalize(stats)).toThrow('three means and three deviations are needed')
  }
  expect(() => augTransforms({ maxZoom: Infinity })).toThrow('minZoom … maxZoom is out of range')
  expect(() => augTransforms({ maxRotate: Infinity })).toThrow('mult · maxRotate is out of range')
  expect(() => normalize({ mean: [0, 0, 0], std: [1, 0, 1] })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: normalize: three means and three deviations are needed, or one of grey images
      mean  [0,0,0]
      std   [1,0,1]
      expected finite numbers, std > 0]
  `)
})

test('what is no batch transform is refused', () => {
  const nested = [augTransforms({ size: 64 }), normalize(imagenetStats)] as unknown as BatchTransform[]
  expect(() => chain(nested)).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: batch transforms: an item is not a batch transform
      transforms  [,normalize]
      Fix: list [...augTransforms(…), normalize(…)] here, and transforms of single images, such as resize, in itemTransforms]
  `)
  expect(() => chain([resize(8)] as unknown as BatchTransform[])).toThrow('an item is not a batch transform')
})

test('chains that no launch can do are refused', () => {
  const [geometry, , crop] = augTransforms({ size: 64, minScale: 0.5 })
  expect(() => chain([geometry, geometry])).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: batch transforms: there are two flips
      Fix: leave one out]
  `)
  expect(() => chain([crop, geometry])).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: batch transforms: 'crop' comes before 'affine'
      transforms  [crop,affine]
      Fix: list 'affine' first]
  `)
  expect(() => chain([normalize(imagenetStats), hue(), saturation(), geometry])).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: batch transforms: 'hue' comes before 'saturation'
      transforms  [affine,hue,saturation,normalize]
      Fix: list 'saturation' first]
  `)
  // These orders are as good as any.
  chain([randomErasing(), normalize(imagenetStats), saturation(), hue(), crop])
  chain([...augTransforms(), saturation(), randomErasing()])
  expect(() => plan(chain([]), { N: 1, H: 1, W: 5 }, 'train')).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: batch transforms: the images are too small
      size  1 x 5
      expected 2 x 2 or more]
  `)
})

test('statistics of the data sets', () => {
  expect(normalize(imagenetStats)).toEqual({
    kind: 'normalize',
    order: 99,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  })
  expect(cifarStats.std).toEqual([0.247, 0.243, 0.261])
})

test('a mask keeps a value with probability p and each item has its own', () => {
  const values = drawMasked(rng(3, 'mask'), 10_000, { p: 0.75, neutral: -1, batch: false }, () => 5)
  const kept = values.filter((value) => value === 5).length
  expect(values.filter((value) => value === -1)).toHaveLength(10_000 - kept)
  // Deviation of the share: 0.0043.
  expect(Math.abs(kept / 10_000 - 0.75)).toBeLessThan(0.02)
})

test('batch draws once for all items', () => {
  const shape = { N: 16, H: 20, W: 20 }
  const shared = augTransforms({ batch: true, pAffine: 1, pLighting: 1 })
  const [geometry, light] = [chain(shared).affine, chain(shared).lighting]
  expect(new Set(geometry?.draw(rng(4, 'batch'), shape).map(String)).size).toBe(1)
  expect(
    new Set(light?.draw(rng(4, 'batch'), 16).map(({ brightness, contrast }) => `${brightness} ${contrast}`)).size,
  ).toBe(1)
  const own = chain(augTransforms()).affine
  expect(new Set(own?.draw(rng(4, 'batch'), shape).map(String)).size).toBeGreaterThan(12)
})

const onlyFlip: AffineOptions = {
  flips: 'horizontal',
  maxRotate: 0,
  minZoom: 1,
  maxZoom: 1,
  maxWarp: 0,
  p: 0.75,
  batch: false,
  size: undefined,
}

test('half of the items are mirrored', () => {
  const matrices = affine(onlyFlip).draw(rng(5, 'flip'), { N: 4000, H: 8, W: 8 })
  expect(Math.abs(matrices.filter((m) => m[0] < 0).length / 4000 - 0.5)).toBeLessThan(0.04)
  expect(matrices.filter((m) => m[0] > 0).every((m) => m.every((value, i) => value === identity[i]))).toBe(true)
})

test('half of the items get one of the eight symmetries', () => {
  const matrices = affine({ ...onlyFlip, flips: 'dihedral' }).draw(rng(6, 'dihedral'), { N: 4000, H: 8, W: 8 })
  // The identity is one of the eight: ½ + ½ · ⅛.
  const still = matrices.filter((m) => m.every((value, i) => value === identity[i])).length
  expect(Math.abs(still / 4000 - 0.5625)).toBeLessThan(0.04)
  // Some zeros are negative.
  expect(new Set(matrices.map((m) => m.map((value) => value + 0).join())).size).toBe(8)
})

test('rotation and zoom stay inside their ranges, zoom only magnifies', () => {
  const rotated = affine({ ...onlyFlip, flips: 'none', maxRotate: 10 }).draw(rng(7, 'rotate'), { N: 2000, H: 8, W: 8 })
  const degrees = rotated.map((m) => (Math.atan2(m[1], m[0]) * 180) / Math.PI)
  expect(Math.min(...degrees)).toBeGreaterThan(-10)
  expect(Math.max(...degrees)).toBeLessThan(10)
  expect(Math.max(...degrees) - Math.min(...degrees)).toBeGreaterThan(19)
  expect(Math.abs(degrees.filter((angle) => angle === 0).length / 2000 - 0.25)).toBeLessThan(0.05)
  const zoomed = affine({ ...onlyFlip, flips: 'none', maxZoom: 1.1 }).draw(rng(8, 'zoom'), { N: 2000, H: 8, W: 8 })
  for (const m of zoomed) {
    expect(m[0]).toBeLessThanOrEqual(1)
    expect(m[0]).toBeGreaterThan(1 / 1.1 - 1e-12)
    // What stays visible lies inside the picture.
    expect(Math.abs(m[2]) + m[0]).toBeLessThanOrEqual(1 + 1e-12)
  }
})

test('light stays inside its range: brightness 0.4 … 0.6, contrast 0.8 … 1.25', () => {
  const lights = lighting({ maxLighting: 0.2, p: 0.75, batch: false }).draw(rng(9, 'light'), 4000)
  const brightness = lights.map((light) => light.brightness)
  const logContrast = lights.map((light) => Math.log(light.contrast))
  expect(Math.min(...brightness)).toBeCloseTo(0.4, 2)
  expect(Math.max(...brightness)).toBeCloseTo(0.6, 2)
  expect(Math.min(...logContrast)).toBeCloseTo(Math.log(0.8), 2)
  expect(Math.max(...logContrast)).toBeCloseTo(-Math.log(0.8), 2)
  expect(Math.abs(lights.filter((light) => light.contrast === 1).length / 4000 - 0.25)).toBeLessThan(0.03)
  // Independent masks: both neutral in one of sixteen.
  expect(
    Math.abs(lights.filter((light) => light.contrast === 1 && light.brightness === 0.5).length / 4000 - 1 / 16),
  ).toBeLessThan(0.02)
})

test('the same epoch, batch and pass draw the same; each of them makes a difference', () => {
  const transforms = chain(augTransforms({ size: 64, minScale: 0.5 }))
  const shape = { N: 4, H: 224, W: 224 }
  const draw = (epoch: number, batch: number, pass?: number) =>
    String(drawBatch(transforms, augmentStream(42, epoch, batch, pass), shape, 'train').items)
  expect(draw(0, 0)).toBe(draw(0, 0, 0))
  expect(new Set([draw(0, 0), draw(1, 0), draw(0, 1), draw(0, 0, 1)]).size).toBe(4)
})

test('validation draws nothing: whole pictures, neutral light', () => {
  const transforms = chain(augTransforms({ size: 64, minScale: 0.5 }))
  const shape = { N: 2, H: 224, W: 224 }
  const { plan, geometry } = drawBatch(transforms, augmentStream(42, 0, 0), shape, 'valid')
  expect(plan).toEqual({
    shape,
    P: 64,
    Q: 64,
    warp: false,
    shrink: false,
    lighting: false,
    saturation: false,
    hue: false,
    areas: 0,
    padMode: 'reflection',
    phase: 'valid',
    own: [],
  })
  expect([...geometry]).toEqual([224, 224, 224, 224, 0, 0, 224, 224, 128, 128])
})

test('saturation stays inside 0.8 … 1.25 and a quarter of the items keep theirs; likewise the hue', () => {
  const factors = saturation().draw(rng(10, 'saturation'), 4000)
  expect(Math.min(...factors)).toBeCloseTo(0.8, 2)
  expect(Math.max(...factors)).toBeCloseTo(1.25, 2)
  expect(Math.abs(factors.filter((factor) => factor === 1).length / 4000 - 0.25)).toBeLessThan(0.03)
  const turns = hue().draw(rng(10, 'hue'), 4000)
  expect(Math.min(...turns)).toBeCloseTo(-0.1, 2)
  expect(Math.max(...turns)).toBeCloseTo(1 / 0.9 - 1, 2)
  expect(Math.abs(turns.filter((turn) => turn === 0).length / 4000 - 0.25)).toBeLessThan(0.03)
  // The logarithm is uniform: as many below as above.
  expect(Math.abs(turns.filter((turn) => turn < 0).length / 4000 - 0.375)).toBeLessThan(0.03)
  expect(new Set(saturation({ batch: true, p: 1 }).draw(rng(10, 'batch'), 9)).size).toBe(1)
  expect(new Set(hue({ batch: true, p: 1 }).draw(rng(10, 'batch'), 9)).size).toBe(1)
})

test('validation leaves the colours and erases nothing; saturation alone runs the light', () => {
  const transforms = chain([saturation(), hue(), randomErasing({ p: 1, maxCount: 3 })])
  const shape = { N: 2, H: 8, W: 8 }
  const valid = drawBatch(transforms, augmentStream(42, 0, 0), shape, 'valid')
  expect(valid.plan).toMatchObject({ lighting: false, saturation: false, hue: false, areas: 0 })
  expect(valid.erased).toBe(undefined)
  const train = drawBatch(transforms, augmentStream(42, 0, 0), shape, 'train')
  expect(train.plan).toMatchObject({ lighting: true, saturation: true, hue: true, areas: 3 })
})

describe('erasing', () => {
  const rectangles = (options: ErasingOptions, count: number, shape = { N: 2, H: 128, W: 96 }) =>
    Array.from({ length: count }, (_, i) => randomErasing(options).draw(rng(11, 'erase', i), shape)).map(({ areas }) =>
      Array.from({ length: areas.length / 4 }, (_, a) => [...areas.slice(4 * a, 4 * a + 4)]),
    )

  test('a batch loses a rectangle of up to 0.3 of its area with probability p', () => {
    const drawn = rectangles({}, 2000).map(([area]) => area)
    const hit = drawn.filter(([top, left, bottom, right]) => bottom > top && right > left)
    // Some rectangles have no pixel: below 0.2 %.
    expect(Math.abs(hit.length / 2000 - 0.5)).toBeLessThan(0.05)
    const parts = hit.map(([top, left, bottom, right]) => ((bottom - top) * (right - left)) / (128 * 96))
    expect(Math.max(...parts)).toBeLessThan(0.305)
    // Uniform between 0 and 0.3, but for what the border cuts off.
    expect(Math.abs(parts.reduce((a, b) => a + b) / hit.length - 0.147)).toBeLessThan(0.01)
    for (const [, , bottom, right] of hit) expect(bottom <= 128 && right <= 96).toBe(true)
    const shapes = hit
      .filter((_, i) => parts[i] > 0.1)
      .map(([top, left, bottom, right]) => (bottom - top) / (right - left))
    expect(Math.min(...shapes)).toBeGreaterThan(0.29)
    expect(Math.max(...shapes)).toBeLessThan(1 / 0.29)
    expect(Math.min(...shapes)).toBeLessThan(0.35)
    expect(Math.max(...shapes)).toBeGreaterThan(1 / 0.35)
    // Every place: at the border and away from it.
    expect(new Set(hit.map(([top]) => top)).size).toBeGreaterThan(80)
    expect(hit.some(([, , bottom]) => bottom === 128) && hit.some(([, left]) => left === 0)).toBe(true)
  })

  test('several rectangles share the area', () => {
    const drawn = rectangles({ p: 1, minScale: 0.3, maxScale: 0.3, minAspect: 1, maxCount: 3 }, 600, {
      N: 1,
      H: 100,
      W: 100,
    })
    const counts = [1, 2, 3].map((count) =>
      drawn.filter((areas) => areas.filter(([top, , bottom]) => bottom > top).length === count),
    )
    for (const { length } of counts) expect(Math.abs(length - 200)).toBeLessThan(40)
    // √(0.3 · 100² / count), rounded.
    for (const [i, side] of [55, 39, 32].entries()) {
      for (const areas of counts[i]) {
        for (const [top, left, bottom, right] of areas.slice(0, i + 1)) {
          expect([bottom - top, right - left]).toEqual([side, side])
        }
        expect(
          areas
            .slice(i + 1)
            .flat()
            .every((number) => number === 0),
        ).toBe(true)
      }
    }
  })

  test('sides are rounded to even, and cut at the border', () => {
    const sides = (size: number) =>
      rectangles({ p: 1, minScale: 0.0625, maxScale: 0.0625, minAspect: 1 }, 1, { N: 1, H: size, W: size })
        .flat()
        .map(([top, , bottom]) => bottom - top)
    expect([...sides(10), ...sides(14)]).toEqual([2, 4])
    // Squares of 32 × 32 in a band of 16.
    for (const [top, left, bottom, right] of rectangles({ p: 1, minScale: 1, maxScale: 1, minAspect: 1 }, 20, {
      N: 1,
      H: 16,
      W: 64,
    }).flat()) {
      expect([top, bottom, right - left]).toEqual([0, 16, 32])
    }
  })

  test('the noise is normal, and every item begins elsewhere', () => {
    const noise = erasingNoise()
    const mean = noise.reduce((a, b) => a + b) / noise.length
    const variance = noise.reduce((sum, value) => sum + (value - mean) ** 2, 0) / noise.length
    // Deviations of both: 0.0023 and 0.0032.
    expect(Math.abs(mean)).toBeLessThan(0.01)
    expect(Math.abs(variance - 1)).toBeLessThan(0.015)
    const { starts } = randomErasing().draw(rng(11, 'erase'), { N: 64, H: 8, W: 8 })
    expect(new Set(starts).size).toBe(64)
    expect(Math.max(...starts)).toBeGreaterThan(2 ** 15)
    expect(Math.max(...starts)).toBeLessThan(2 ** 16)
  })
})

test('colours and erasing out of range are refused', () => {
  expect(() => saturation({ maxLighting: 1 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: saturation: maxLighting is out of range
      maxLighting  1
      expected above 0 and below 1]
  `)
  expect(() => saturation({ p: 2 })).toThrow('saturation: p is out of range')
  expect(() => hue({ maxHue: 0 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: hue: maxHue is out of range
      maxHue  0
      expected above 0 and below 1]
  `)
  expect(() => randomErasing({ maxScale: 1.5 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: randomErasing: minScale is out of range
      minScale  0
      maxScale  1.5
      expected 0 ≤ minScale ≤ maxScale ≤ 1]
  `)
  for (const wrong of [
    { p: -1 },
    { minScale: 0.5 },
    { minAspect: 0 },
    { minAspect: 2 },
    { maxCount: 0 },
    { maxCount: 1.5 },
  ]) {
    expect(() => randomErasing(wrong)).toThrow(`randomErasing: ${Object.keys(wrong)[0]} is out of range`)
  }
})
