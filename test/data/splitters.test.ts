import { describe, expect, test } from 'vitest'
import { DataError, OptionError } from '../../src/base/errors.ts'
import { grandparentSplitter, randomSplitter } from '../../src/data/splitters.ts'

const items = (n: number) => Array.from({ length: n }, (_, i) => `train/a/${i}.jpg`)

describe('randomSplitter', () => {
  test('gives the split of fastai with the same seed', () => {
    // torch 1.13: torch.manual_seed(42); torch.randperm(10) and torch.randperm(13394)
    const small = randomSplitter({ seed: 42 })(items(10))
    expect([...small.valid]).toEqual([2, 6])
    expect([...small.train]).toEqual([1, 8, 4, 5, 0, 9, 3, 7])
    const { train, valid } = randomSplitter({ seed: 42 })(items(13394))
    expect([train.length, valid.length]).toEqual([10716, 2678])
    expect([...valid.slice(0, 5)]).toEqual([4748, 4755, 12510, 323, 11760])
    expect([...train.slice(0, 5)]).toEqual([8136, 10026, 7460, 5060, 5701])
  })

  test('gives every item once, on one side', () => {
    const { train, valid } = randomSplitter({ validPercent: 0.37, seed: 7 })(items(1001))
    expect(valid.length).toBe(370)
    expect([...train, ...valid].sort((a, b) => a - b)).toEqual(Array.from({ length: 1001 }, (_, i) => i))
  })

  test('depends on the seed, and on nothing drawn before', () => {
    const first = randomSplitter({ seed: 1 })
    expect(first(items(50))).toEqual(first(items(50)))
    expect(first(items(50))).not.toEqual(randomSplitter({ seed: 2 })(items(50)))
  })

  test.each([
    { validPercent: 0 },
    { validPercent: 1 },
    { validPercent: 20 },
    { validPercent: NaN },
    { seed: -1 },
    { seed: 1.5 },
    { seed: 2 ** 32 },
  ])('refuses %o', (options) => {
    expect(() => randomSplitter(options)).toThrow(OptionError)
  })

  test('says when nothing is left to measure on', () => {
    expect(() => randomSplitter()(items(4))).toThrow(`randomSplitter: no item is left to measure on
  items         4
  validPercent  0.2
  Fix: take more items, or a larger validPercent`)
    expect(() => randomSplitter()([])).toThrow(DataError)
  })
})

describe('grandparentSplitter', () => {
  const paths = ['d/train/a/1.jpg', 'd/val/a/2.jpg', 'd/train/b/3.jpg', 'd/test/a/4.jpg', 'd\\val\\b\\5.jpg']

  test('goes by the folder around the class folder', () => {
    const { train, valid } = grandparentSplitter({ train: 'train', valid: 'val' })(paths)
    expect([[...train], [...valid]]).toEqual([
      [0, 2],
      [1, 4],
    ])
  })

  test('takes several names', () => {
    const { train, valid } = grandparentSplitter({ train: ['train', 'test'], valid: 'val' })(paths)
    expect([[...train], [...valid]]).toEqual([
      [0, 2, 3],
      [1, 4],
    ])
  })

  test('says what it found when a side is empty', () => {
    expect(() => grandparentSplitter()(paths))
      .toThrow(`grandparentSplitter: no item lies below valid, so there is nothing to measure on
  items          5
  folders found  train, val, test
  Fix: give the name of the folder, such as grandparentSplitter({ valid: 'val' })`)
    expect(() => grandparentSplitter({ train: 'training', valid: 'val' })(paths)).toThrow('nothing to train on')
    expect(() => grandparentSplitter()(['1.jpg'])).toThrow(DataError)
  })
})
