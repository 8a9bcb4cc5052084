import { describe, expect, test } from 'vitest'
import { rng } from '../../src/base/rng.ts'
import { ImageBlock } from '../../src/data/blocks.ts'
import { hue, saturation } from '../../src/data/augment/colour.ts'
import { randomErasing } from '../../src/data/augment/erasing.ts'
import { imagenetStats, normalize } from '../../src/data/augment/normalize.ts'
import { chain, drawBatch } from '../../src/data/augment/plan.ts'
import { augTransforms } from '../../src/data/augment/transforms.ts'
import { brightness, contrast, flip, rotate, warp, zoom } from '../../src/data/augment/parts.ts'
import { randAugment, trivialAugment } from '../../src/data/auto-augment.ts'
import { drawPlan, flipItem, randomResizedCrop, resize, type ItemTransform } from '../../src/data/item-transforms.ts'
import { cropPad, dihedralItem, randomCrop } from '../../src/data/window-transforms.ts'
import {
  batchTransformsFrom,
  decodingFrom,
  itemTransformsFrom,
  transformRecords,
} from '../../src/data/transform-records.ts'

const shape = { N: 5, H: 20, W: 24 }

/** Written down, sent through a file and made again. */
const copied = (records: unknown) => JSON.parse(JSON.stringify(records))

describe('transforms that were written down', () => {
  test.each([
    ['the lesson', [...augTransforms({ size: 12, minScale: 0.5 }), normalize(imagenetStats)]],
    ['without a crop', augTransforms({ size: [10, 14], flipVert: true, maxRotate: 30, batch: true, pLighting: 0.3 })],
    [
      'everything',
      [
        ...augTransforms(),
        saturation({ maxLighting: 0.4 }),
        hue({ p: 1 }),
        normalize(imagenetStats),
        randomErasing({ p: 1, maxCount: 3 }),
      ],
    ],
    [
      'parts alone',
      [flip(), rotate({ maxDeg: 45, padMode: 'zeros' }), zoom(), warp(), brightness(), contrast({ p: 0.5 })],
    ],
    ['nothing', []],
  ])('draw the same batches: %s', (_name, transforms) => {
    const again = batchTransformsFrom(copied(transformRecords(transforms)))
    expect(transformRecords(again)).toEqual(transformRecords(transforms))
    for (const split of ['train', 'valid'] as const) {
      const drawn = [transforms, again].map((some) => drawBatch(chain(some), rng(1, 'test'), shape, split))
      expect(drawn[1]).toEqual(drawn[0])
    }
  })

  test.each([
    ['resize', [resize(224)]],
    ['resize to a rectangle', [resize([20, 30], { method: 'squish' }), flipItem(0.3)]],
    ['a padded one', [resize(20, { method: 'pad', padMode: 'zeros' }), dihedralItem(0.7)]],
    ['a window', [randomCrop([8, 9], { padding: 4, padMode: 'border' })]],
    ['the middle', [cropPad(8, { padMode: 'reflection' })]],
    ['a random crop', [flipItem(), randomResizedCrop(128, { minScale: 0.35, ratio: [0.5, 2], validExtra: 0.2 })]],
  ])('plan the same pictures: %s', (_name, transforms) => {
    const again = itemTransformsFrom(copied(transformRecords(transforms)))
    for (const split of ['train', 'valid'] as const) {
      const plans = [transforms, again].map((some) =>
        Array.from({ length: 9 }, (_, i) => drawPlan(some, rng(i, 'test'), split)),
      )
      expect(plans[1]).toEqual(plans[0])
    }
  })

  test('make the same changes', () => {
    const transforms = [trivialAugment({ bins: 11 }), randAugment({ count: 3, magnitude: 4 })]
    const again = itemTransformsFrom(copied(transformRecords(transforms)))
    const edits = (some: readonly ItemTransform[]) =>
      some.map((one) => 'drawEdits' in one && one.drawEdits(rng(1, 'edits'), { width: 30, height: 20 }))
    expect(edits(again)).toEqual(edits(transforms))
    expect(transformRecords(again)).toEqual(transformRecords(transforms))
  })

  test('of another kind are refused', () => {
    expect(() => batchTransformsFrom([{ kind: 'rotate' }])).toThrow("there is no transform 'rotate'")
    expect(() => itemTransformsFrom({})).toThrow('they are not a list')
    expect(() => itemTransformsFrom([null])).toThrow("there is no transform 'undefined'")
    expect(() => itemTransformsFrom([{ kind: 'resize', width: 0, height: 3 }])).toThrow('size is out of range')
  })
})

test('options of decoding: those of a file, those of before there was a choice, and none that do not exist', () => {
  const { decoding } = ImageBlock({ decoder: 'sharp', shrink: 'fast' })
  expect(decodingFrom(copied(decoding))).toEqual({ orientation: 'apply', decoder: 'sharp', shrink: 'fast' })
  // Images were not turned then.
  expect(decodingFrom(undefined)).toEqual({ orientation: 'ignore', decoder: 'built-in', shrink: 'exact' })
  expect(() => decodingFrom({ orientation: 'sideways' })).toThrow("expected 'apply' or 'ignore'")
  expect(() => ImageBlock({ turn: true } as never)).toThrow("there is no option 'turn'")
})
