import { expect, test } from 'vitest'
import { countsOf, lookText } from '../../src/cli/look.ts'
import type { Side } from '../../src/data/image-folder.ts'
import type { Survey } from '../../src/data/survey.ts'

test('images of many classes are counted by looking at each of them once', () => {
  const classes = Array.from({ length: 1000 }, (_, i) => `class ${i}`)
  let looked = 0
  const image = (i: number) => ({
    path: `${i}.jpg`,
    get target() {
      looked++
      return classes[i % classes.length]
    },
  })
  const images = Array.from({ length: 5000 }, (_, i) => image(i))
  const survey = { classes, images, leftOut: [image(7), image(1007)] } as unknown as Survey
  const sideOf = (path: string): Side => (Number.parseInt(path) < 1000 ? 'valid' : 'train')
  const counts = countsOf(survey, sideOf)
  expect(counts).toHaveLength(1000)
  expect(counts[6]).toEqual({ name: 'class 6', train: 4, valid: 1, leftOut: 0 })
  expect(counts[7]).toEqual({ name: 'class 7', train: 4, valid: 1, leftOut: 2 })
  expect(looked).toBeLessThan(3 * images.length)
})

test('an image of several labels counts for each', () => {
  const images = [
    { path: '1.jpg', target: ['a', 'b'] },
    { path: '2.jpg', target: [] },
  ]
  const survey = { classes: ['a', 'b'], images, leftOut: [{ path: '3.jpg', target: ['b', 'rare'] }] }
  expect(countsOf(survey as unknown as Survey, () => undefined)).toEqual([
    { name: 'a', train: 1, valid: 0, leftOut: 0 },
    { name: 'b', train: 1, valid: 0, leftOut: 1 },
  ])
})

test('one class is called a class', () => {
  const folder = { path: 'set', description: 'class folders', layout: 'folders', targets: { kind: 'class' } }
  const survey = { folder, images: [], classes: ['a'], findings: [] } as unknown as Survey
  expect(lookText(survey, [], '')).toMatch(/^0 images of 1 class: class folders in set\n/)
})
