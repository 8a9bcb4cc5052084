import { expect, test } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import { rng } from '../../src/base/rng.ts'
import { BOX_NUMBERS } from '../../src/image/box.ts'
import { drawPlan, flipItem, randomResizedCrop, resize, sortItemTransforms } from '../../src/data/item-transforms.ts'
import { cropPad, dihedralItem, randomCrop } from '../../src/data/window-transforms.ts'

const stream = (index = 0) => rng(1, 'crop', index)

test('resize crops at a random place in training and in the middle in validation', () => {
  const transform = resize([10, 20])
  const expected = stream()
  expect(transform.draw(stream(), 'train')).toEqual({
    method: 'crop',
    width: 20,
    height: 10,
    position: [expected.uniform(), expected.uniform()],
  })
  expect(transform.draw(stream(), 'valid')).toEqual({ method: 'crop', width: 20, height: 10, position: [0.5, 0.5] })
  expect(resize(8, { method: 'pad' }).draw(stream(), 'valid')).toMatchObject({ method: 'pad' })
})

test('randomResizedCrop draws a box in training; in validation the picture is a little larger than what is kept of it', () => {
  const train = randomResizedCrop([96, 128], { minScale: 0.35, ratio: [0.5, 2] }).draw(stream(), 'train')
  expect(train).toMatchObject({ method: 'random-crop', width: 128, height: 96, scale: [0.35, 1], ratio: [0.5, 2] })
  const draws = train.method === 'random-crop' ? train.draws : []
  expect(draws.length).toBe(BOX_NUMBERS)
  expect(new Set(draws).size).toBe(BOX_NUMBERS)
  expect(randomResizedCrop(8).draw(stream(), 'train')).toMatchObject({ scale: [0.08, 1], ratio: [3 / 4, 4 / 3] })

  const extra = (size: number | [number, number], validExtra?: number) => {
    const plan = randomResizedCrop(size, { validExtra }).draw(stream(), 'valid')
    return plan.method === 'middle' && plan.extra
  }
  // 128 px become 152: ⌈128 · 0.14 / 8⌉ · 8 = 24.
  expect([
    extra(128),
    extra(64),
    extra(224),
    extra([64, 128]),
    extra([128, 64]),
    extra(128, 0),
    extra(100, 0.08),
  ]).toEqual([24, 16, 32, 24, 24, 0, 8])
})

test('half of the pictures are flipped in training, none in validation', () => {
  const flips = (p: number | undefined, split: 'train' | 'valid') =>
    Array.from({ length: 1000 }, (_, i) => drawPlan([flipItem(p)], stream(i), split)).filter(({ mirror }) => mirror)
      .length
  // Standard deviation 16.
  expect(Math.abs(flips(undefined, 'train') - 500)).toBeLessThan(64)
  expect(Math.abs(flips(0.1, 'train') - 100)).toBeLessThan(40)
  expect([flips(0, 'train'), flips(1, 'train'), flips(1, 'valid')]).toEqual([0, 1000, 0])
})

test('the flip belongs to the plan of the crop, wherever it is listed', () => {
  const crop = randomResizedCrop(8)
  for (const listed of [
    [crop, flipItem(1)],
    [flipItem(1), crop],
  ]) {
    const sorted = sortItemTransforms(listed)
    expect(sorted.map(({ kind }) => kind)).toEqual(['flipItem', 'randomResizedCrop'])
    expect(drawPlan(sorted, stream(), 'train')).toMatchObject({ method: 'random-crop', mirror: true })
  }
  expect(drawPlan([flipItem(1)], stream(), 'train')).toEqual({ method: 'whole', mirror: true })
  expect(drawPlan([], stream(), 'train')).toEqual({ method: 'whole' })
})

test('a flip is drawn apart from the crop: both sides are seen at every place', () => {
  const plans = Array.from({ length: 400 }, (_, i) => drawPlan([flipItem(), resize(8)], stream(i), 'train'))
  const left = plans.filter((plan) => plan.method === 'crop' && plan.position[0] < 0.5)
  const mirrored = left.filter(({ mirror }) => mirror).length
  // Of about 200, half, with a deviation of 7.
  expect(Math.abs(mirrored / left.length - 0.5)).toBeLessThan(0.15)
})

test('what cannot be done is refused', () => {
  expect(() => resize(0)).toThrow(OptionError)
  expect(() => resize(8, { method: 'stretch' as 'crop' })).toThrow("there is no method 'stretch'")
  expect(() => randomResizedCrop(8, { minScale: 0 })).toThrow('randomResizedCrop: the scales are parts of the area')
  expect(() => randomResizedCrop(8, { minScale: 0.5, maxScale: 0.4 })).toThrow('the scales are parts of the area')
  expect(() => randomResizedCrop(8, { ratio: [2, 1] })).toThrow('the ratio is a range')
  expect(() => randomResizedCrop(8, { validExtra: -1 })).toThrow('validExtra is out of range')
  expect(() => flipItem(1.5)).toThrow('flipItem: p is out of range')
  expect(() => sortItemTransforms([resize(8), randomResizedCrop(8)])).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: item transforms: there are two item transforms for the same work
      itemTransforms  resize, randomResizedCrop
      Fix: leave one out]
  `)
  expect(() => sortItemTransforms([flipItem(), flipItem()])).toThrow('two item transforms')
})

test('randomCrop places a window at random in training and in the middle in validation', () => {
  const expected = stream()
  const window = { method: 'window', width: 32, height: 24, padding: 4, padMode: 'zeros' }
  const transform = randomCrop([24, 32], { padding: 4 })
  expect(transform.draw(stream(), 'train')).toEqual({ ...window, position: [expected.uniform(), expected.uniform()] })
  expect(transform.draw(stream(), 'valid')).toEqual(window)
  for (const phase of ['train', 'valid'] as const) {
    expect(cropPad(8, { padMode: 'border' }).draw(stream(), phase)).toEqual({
      ...{ method: 'window', width: 8, height: 8, padding: 0, padMode: 'border' },
    })
  }
})

test('resize pads with what it is told to, and not without being told to pad', () => {
  expect(resize(8, { method: 'pad', padMode: 'zeros' }).draw(stream(), 'valid')).toMatchObject({ padMode: 'zeros' })
  expect(resize(8, { method: 'pad' }).draw(stream(), 'valid')).not.toHaveProperty('padMode')
  expect(() => resize(8, { padMode: 'zeros' })).toThrow("nothing is padded by the method 'crop'")
  expect(() => resize(8, { method: 'pad', padMode: 'wrap' as 'zeros' })).toThrow("there is no pad mode 'wrap'")
})

test('every symmetry is as frequent as the others, in training only', () => {
  const drawn = (p?: number) =>
    Array.from({ length: 4000 }, (_, i) => drawPlan([dihedralItem(p)], stream(i), 'train').dihedral ?? 0)
  const counts = (of: number[]) => Array.from({ length: 8 }, (_, k) => of.filter((one) => one === k).length)
  // Standard deviation 21.
  for (const count of counts(drawn())) expect(Math.abs(count - 500)).toBeLessThan(84)
  expect(counts(drawn(0.5))[0]).toBeGreaterThan(2000)
  expect(drawPlan([dihedralItem()], stream(), 'valid')).toEqual({ method: 'whole' })
})

test('a flip and a turn, two crops, and transforms of batches are refused', () => {
  expect(() => sortItemTransforms([flipItem(), dihedralItem()])).toThrow('two item transforms')
  expect(() => sortItemTransforms([randomCrop(8), cropPad(8)])).toThrow('two item transforms')
  expect(() => sortItemTransforms([{ kind: 'normalize' } as never])).toThrow('list transforms of batches')
  expect(() => randomCrop(8, { padding: -1 })).toThrow('padding is out of range')
  expect(() => dihedralItem(2)).toThrow('p is out of range')
})
