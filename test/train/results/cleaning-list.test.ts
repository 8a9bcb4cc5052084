import { expect, test } from 'vitest'
import type { ItemPredictions } from '../../../src/train/fit/evaluation.ts'
import { cleaningList, cleaningListOf } from '../../../src/train/results/cleaning-list.ts'
import { ClassificationInterpretation } from '../../../src/train/results/interpretation.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { tinyLearner } from '../../helpers/tiny.ts'

await openTestGpu()

const VOCAB = ['cat', 'dog', 'emu']

/** Predictions from rows of [label, p(cat), p(dog), p(emu)]. */
function results(rows: readonly (readonly number[])[]): ItemPredictions {
  return {
    predictions: { rows: rows.length, columns: 3, data: Float32Array.from(rows.flatMap((row) => row.slice(1))) },
    targets: Uint32Array.from(rows, ([label]) => label),
    losses: Float32Array.from(rows, ([label, ...p]) => -Math.log(p[label])),
    items: Uint32Array.from(rows, (_, i) => rows.length - 1 - i),
  }
}
const paths = Array.from({ length: 9 }, (_, i) => `set/${i}.jpg`)

const ROWS = [
  // Mean of p(cat) of cats: 0.6, of p(dog) of dogs: 0.7.
  [0, 0.9, 0.05, 0.05],
  [0, 0.1, 0.8, 0.1],
  [0, 0.8, 0.1, 0.1],
  [1, 0.3, 0.6, 0.1],
  [1, 0.1, 0.8, 0.1],
]

test('items by label and loss, with what confident learning suggests', () => {
  const { items, vocab, kind } = cleaningListOf(VOCAB, [{ split: 'valid', results: results(ROWS), paths }])
  expect([kind, vocab]).toEqual(['wgrad cleaning list', VOCAB])
  expect(items.map(({ path, label, predicted, suggested }) => [path, label, predicted, suggested])).toEqual([
    // 0.8 for dog reaches the 0.7 that dogs have.
    ['set/3.jpg', 'cat', 'dog', 'dog'],
    ['set/2.jpg', 'cat', 'cat', undefined],
    ['set/4.jpg', 'cat', 'cat', undefined],
    ['set/1.jpg', 'dog', 'dog', undefined],
    ['set/0.jpg', 'dog', 'dog', undefined],
  ])
  expect(items.every(({ action, split }) => action === 'keep' && split === 'valid')).toBe(true)
  expect(items[0]).toMatchObject({ probability: Math.fround(0.8), loss: Math.fround(-Math.log(0.1)) })
})

test('an uncertain wrong prediction is no suggestion, and a label without images cannot be one', () => {
  const [first, second] = [
    [0, 0.45, 0.5, 0.05],
    [0, 0.05, 0.05, 0.9],
  ]
  const { items } = cleaningListOf(VOCAB, [{ split: 'train', results: results([...ROWS, first, second]), paths }])
  expect(items.filter(({ suggested }) => suggested !== undefined).map(({ path }) => path)).toEqual(['set/5.jpg'])
})

test('the only image with a label reaches what is expected of it', () => {
  const rows = [
    [0, 0.6, 0.4, 0],
    [1, 0.7, 0.3, 0],
  ]
  const { items } = cleaningListOf(VOCAB, [{ split: 'valid', results: results(rows), paths }])
  expect(items.map(({ label, suggested }) => [label, suggested])).toEqual([
    ['cat', undefined],
    ['dog', 'cat'],
  ])
})

test('a label is expected as often as its images have it, not as they have the likeliest', () => {
  // Of cats 0.6, and of their likeliest labels 0.83.
  const { items } = cleaningListOf(VOCAB, [{ split: 'valid', results: results([...ROWS, [1, 0.7, 0.2, 0.1]]), paths }])
  expect(items.map(({ suggested }) => suggested)).toEqual(['dog', undefined, undefined, 'cat', undefined, undefined])
})

test('a row of NaN is predicted as no class, and takes no suggestion away from other images', () => {
  const rows = [...ROWS, [0, NaN, NaN, NaN], [1, 0.7, 0.2, 0.1]]
  const { items } = cleaningListOf(VOCAB, [{ split: 'valid', results: results(rows), paths }])
  expect(items.map(({ label, predicted, suggested }) => [label, predicted, suggested])).toEqual([
    ['cat', 'not a number', undefined],
    ['cat', 'dog', 'dog'],
    ['cat', 'cat', undefined],
    ['cat', 'cat', undefined],
    // 0.7 for cat reaches the 0.6 of the other cats.
    ['dog', 'cat', 'cat'],
    ['dog', 'dog', undefined],
    ['dog', 'dog', undefined],
  ])
  expect(items[0].probability).toBeNaN()
})

test('the largest losses of each label and split, NaN first', () => {
  const broken = results([...ROWS.slice(0, 2), [0, NaN, NaN, NaN], ...ROWS.slice(2)])
  const list = cleaningListOf(
    VOCAB,
    [
      { split: 'train', results: results(ROWS), paths },
      { split: 'valid', results: broken, paths },
    ],
    { count: 1 },
  )
  expect(list.items.map(({ label, split, path }) => [label, split, path])).toEqual([
    ['cat', 'train', 'set/3.jpg'],
    ['cat', 'valid', 'set/3.jpg'],
    ['dog', 'train', 'set/1.jpg'],
    ['dog', 'valid', 'set/1.jpg'],
  ])
  expect(() => cleaningListOf(VOCAB, [], { count: 0 })).toThrow('cleaningList: count is out of range')
})

test('of a learner: every image of both splits once, as its predictions say', async () => {
  const { learner, loaders } = await tinyLearner({}, { train: 8, valid: 6 })
  const { items } = await cleaningList(learner)
  expect(items.map(({ path }) => path).sort()).toEqual([...loaders.train.pictures.items].sort())
  expect(items.filter(({ split }) => split === 'valid')).toHaveLength(6)
  expect(items.every(({ path, label }) => path.split('/')[1] === label)).toBe(true)
  const interpretation = new ClassificationInterpretation(await learner.getPredictions(), loaders.vocab)
  const valid = interpretation.cleaningList(loaders.valid.pictures.items)
  expect(valid.items).toEqual(items.filter(({ split }) => split === 'valid'))
  const [{ item, loss }] = interpretation.topLosses(1)
  const worst = valid.items.reduce((a, b) => (b.loss > a.loss ? b : a))
  expect([worst.path, worst.loss]).toEqual([loaders.valid.pictures.items[item], loss])
  expect(interpretation.cleaningList(loaders.valid.pictures.items, { count: 1, split: 'train' }).items[0].split).toBe(
    'train',
  )
})

test('of a learner with predictions for validation at hand: those are taken, and the model is not asked again', async () => {
  const { learner } = await tinyLearner({}, { train: 8, valid: 6 })
  const valid = await learner.getPredictions()
  const known = { ...valid, losses: valid.losses.map((loss) => loss + 100) }
  const { items } = await cleaningList(learner, { valid: known })
  expect(items.filter(({ loss }) => loss > 100).map(({ split }) => split)).toEqual(Array(6).fill('valid'))
  const others = await learner.getPredictions({ loader: learner.loaders.train })
  await expect(cleaningList(learner, { valid: others })).rejects.toThrow(
    'cleaningList: these are not predictions for the validation set of the learner',
  )
})

test('predictions for as many other images are refused, and those without one that could not be read are taken', async () => {
  const { learner, loaders } = await tinyLearner({}, { train: 6, valid: 6 })
  const valid = await learner.getPredictions()
  const others = await learner.getPredictions({ loader: loaders.train })
  await expect(cleaningList(learner, { valid: others })).rejects.toThrow('not predictions for the validation set')
  const some: ItemPredictions = {
    predictions: { ...valid.predictions, rows: 5, data: valid.predictions.data.slice(0, 5 * 3) },
    targets: valid.targets.slice(0, 5),
    losses: valid.losses.slice(0, 5),
    items: valid.items.slice(0, 5),
  }
  expect((await cleaningList(learner, { valid: some })).items.length).toBe(6 + 5)
})
