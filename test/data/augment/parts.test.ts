import { describe, expect, test } from 'vitest'
import { rng } from '../../../src/base/rng.ts'
import { normalize, imagenetStats } from '../../../src/data/augment/normalize.ts'
import { brightness, contrast, dihedral, flip, rotate, warp, zoom } from '../../../src/data/augment/parts.ts'
import { chain, drawBatch } from '../../../src/data/augment/plan.ts'
import { augTransforms, type AugTransformsOptions, type BatchTransform } from '../../../src/data/augment/transforms.ts'

const shape = { N: 6, H: 20, W: 24 }
const still = { doFlip: false, maxRotate: 0, maxWarp: 0, maxZoom: 1, maxLighting: 0 }

function drawn(transforms: readonly BatchTransform[]) {
  const { items, geometry } = drawBatch(chain(transforms), rng(5, 'parts'), shape, 'train')
  return { items: [...items], geometry: [...geometry] }
}

describe('a part alone is augTransforms with everything else off', () => {
  const cases: [string, BatchTransform, AugTransformsOptions][] = [
    ['flip', flip(), { doFlip: true }],
    ['dihedral', dihedral(), { doFlip: true, flipVert: true }],
    ['rotate', rotate({ maxDeg: 20, p: 0.75 }), { maxRotate: 20 }],
    ['zoom', zoom({ minZoom: 0.8, maxZoom: 1.5, p: 0.75 }), { minZoom: 0.8, maxZoom: 1.5 }],
    ['warp', warp({ magnitude: 0.3, p: 0.75 }), { maxWarp: 0.3 }],
    ['with a size', rotate({ p: 0.75, size: [10, 12] }), { maxRotate: 10, size: [10, 12] }],
    ['for the whole batch', rotate({ p: 0.75, batch: true }), { maxRotate: 10, batch: true }],
  ]
  test.each(cases)('%s', (_name, part, options) => {
    expect(drawn([part])).toEqual(drawn(augTransforms({ ...still, ...options })))
  })

  test('light', () => {
    const item = (numbers: readonly number[], place: number) =>
      Array.from({ length: shape.N }, (_, n) => numbers[16 * n + place])
    const bright = drawn([brightness({ p: 1 })]).items
    const contrasted = drawn([contrast({ p: 1 })]).items
    // (1 − b) / b at 3, the contrast at 7.
    expect(new Set(item(bright, 3)).size).toBe(shape.N)
    expect(new Set(item(bright, 7))).toEqual(new Set([1]))
    expect(new Set(item(contrasted, 3))).toEqual(new Set([1]))
    expect(new Set(item(contrasted, 7)).size).toBe(shape.N)
  })
})

test('the parts together are augTransforms', () => {
  const p = { p: 0.75 }
  const parts = [flip(), warp(p), rotate(p), zoom(p), brightness(), contrast(), normalize(imagenetStats)]
  expect(drawn(parts)).toEqual(drawn([...augTransforms(), normalize(imagenetStats)]))
})

test('each part keeps its own probability', () => {
  const { items } = drawBatch(
    chain([rotate({ p: 0 }), zoom({ p: 1, minZoom: 2, maxZoom: 2 })]),
    rng(1, 'p'),
    shape,
    'train',
  )
  for (let n = 0; n < shape.N; n++) {
    // Zoomed by 2 and not rotated.
    expect([items[16 * n], items[16 * n + 1]]).toEqual([expect.closeTo(0.5, 6), expect.closeTo(0, 6)])
  }
})

test('parts that do the same, or differ in what they share, are refused', () => {
  expect(() => chain([rotate(), ...augTransforms()])).toThrow('there are two rotations')
  expect(() => chain([flip(), dihedral()])).toThrow('there are two flips')
  expect(() => chain([brightness(), brightness()])).toThrow('there are two changes of brightness')
  expect(() => chain([flip({ batch: true }), rotate()])).toThrow('differ in batch')
  expect(() => chain([flip({ size: 8 }), rotate({ size: 9 })])).toThrow('differ in size')
  expect(() => rotate({ maxDeg: -1 })).toThrow('rotate: maxDeg is out of range')
  expect(() => zoom({ minZoom: 2 })).toThrow('zoom: minZoom … maxZoom is out of range')
  expect(() => warp({ magnitude: 0.8 })).toThrow('warp: magnitude is out of range')
  expect(() => contrast({ maxLighting: 1 })).toThrow('contrast: maxLighting is out of range')
  expect(() => flip({ p: 2 })).toThrow('flip: p is out of range')
})
