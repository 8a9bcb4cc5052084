import { describe, expect, test } from 'vitest'
import { DataError, OptionError } from '../../src/base/errors.ts'
import { parentLabel } from '../../src/data/items.ts'
import { grandparentSplitter, kFold, randomSplitter, stratifiedSplitter } from '../../src/data/splitters.ts'
import { golden } from '../helpers/golden.ts'

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

describe('kFold', () => {
  interface Folds {
    readonly n: number
    readonly labels: readonly string[]
    readonly stratified: readonly (readonly number[])[]
    readonly plain: readonly number[]
  }
  const { folds } = golden<{ folds: readonly Folds[] }>('metrics')
  const paths = (labels: readonly string[]) => labels.map((label, i) => `set/${label}/${i}.jpg`)

  test.each(folds)('$n folds have the sizes of scikit-learn', ({ n, labels, stratified, plain }) => {
    const all = paths(labels)
    const vocab = [...new Set(labels)].sort()
    const sizes = kFold(n, { stratified: parentLabel }).map((splitter) => {
      const { valid } = splitter(all)
      return vocab.map((label) => [...valid].filter((item) => labels[item] === label).length)
    })
    expect(sizes).toEqual(stratified)
    expect(kFold(n).map((splitter) => splitter(all).valid.length)).toEqual(plain)
  })

  test.each([{}, { stratified: parentLabel }])(
    'every item is measured on once, and trained on otherwise, %o',
    (options) => {
      const all = paths(folds[0].labels)
      const splits = kFold(4, options).map((splitter) => splitter(all))
      for (const { train, valid } of splits) {
        expect([...train, ...valid].sort((a, b) => a - b)).toEqual([...all.keys()])
      }
      expect(splits.flatMap(({ valid }) => [...valid]).sort((a, b) => a - b)).toEqual([...all.keys()])
    },
  )

  test('the seed decides, and items that belong together stay so', () => {
    const all = paths(folds[0].labels)
    const first = (options: object) => [...kFold(3, options)[0](all).valid]
    expect(first({ seed: 1 })).toEqual(first({ seed: 1 }))
    expect(first({ seed: 1 })).not.toEqual(first({ seed: 2 }))
    const patient = (item: string) => String(Number(/\d+/.exec(item)) >> 1)
    for (const splitter of kFold(3, { together: patient })) {
      const { train, valid } = splitter(all)
      const [there, here] = [train, valid].map((side) => new Set([...side].map((item) => patient(all[item]))))
      expect([...here].filter((key) => there.has(key))).toEqual([])
    }
  })

  test('items that belong together stay so where their labels differ', () => {
    const all = Array.from({ length: 60 }, (_, i) => `set/${i % 3 === 0 ? 'benign' : 'malignant'}/${i}.jpg`)
    const patient = (item: string) => String(Number(/\d+/.exec(item)) >> 2)
    for (const splitter of kFold(3, { stratified: parentLabel, together: patient })) {
      const { train, valid } = splitter(all)
      const there = new Set(Array.from(train, (item) => patient(all[item])))
      expect(Array.from(valid, (item) => patient(all[item])).filter((key) => there.has(key))).toEqual([])
      expect(valid.length).toBe(20)
    }
  })

  test('what cannot be divided is refused', () => {
    expect(() => kFold(1)).toThrow(OptionError)
    expect(() => kFold(2.5)).toThrow('n is out of range')
    expect(() => kFold(3, { stratify: parentLabel } as object)).toThrow('Fix: write stratified')
    expect(() => kFold(5)[4](items(4))).toThrow(`kFold: there are fewer items than folds
  folds  5
  items  4
  Fix: take more items, or fewer folds`)
    expect(() => kFold(3, { together: () => 'one' })[0](items(4))).toThrow('that may be apart  1')
  })
})

describe('stratifiedSplitter', () => {
  test('takes the same share of each class', () => {
    const all = Array.from(
      { length: 60 },
      (_, i) => `set/${i < 40 ? 'many' : i < 50 ? 'some' : i < 58 ? 'few' : 'two'}/${i}.jpg`,
    )
    const { train, valid } = stratifiedSplitter({ labelOf: parentLabel, validPercent: 0.25 })(all)
    const count = (label: string) => [...valid].filter((item) => parentLabel(all[item]) === label).length
    expect(['many', 'some', 'few', 'two'].map(count)).toEqual([10, 3, 2, 1])
    expect([...train, ...valid].sort((a, b) => a - b)).toEqual([...all.keys()])
  })

  test('copies of an image stay on one side where their labels differ, and a class of copies is still divided', () => {
    const all = Array.from({ length: 40 }, (_, i) => `set/${i < 30 ? 'many' : 'few'}/${i % 30}.jpg`)
    const content = (item: string) => item.slice(item.lastIndexOf('/'))
    for (let seed = 0; seed < 10; seed++) {
      const { train, valid } = stratifiedSplitter({ labelOf: parentLabel, together: content, seed })(all)
      const there = new Set(Array.from(train, (item) => content(all[item])))
      expect(Array.from(valid, (item) => content(all[item])).filter((key) => there.has(key))).toEqual([])
      expect(Array.from(valid).filter((item) => item >= 30)).toHaveLength(2)
    }
  })

  test('leaves an item of each class to train on, however large the share', () => {
    const { train } = stratifiedSplitter({ labelOf: parentLabel, validPercent: 0.9 })([
      's/a/1',
      's/a/2',
      's/b/3',
      's/b/4',
    ])
    expect([...train].map((item) => item >> 1)).toEqual([0, 1])
  })

  test('leaves a single item to train on, and says when nothing is left to measure on', () => {
    const splitter = stratifiedSplitter({ labelOf: parentLabel })
    expect([...splitter(['s/a/1', 's/a/2', 's/b/3']).train]).toContain(2)
    expect(() => splitter(['s/a/1', 's/b/2'])).toThrow('no item is left to measure on')
  })
})
