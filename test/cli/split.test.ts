import { expect, test } from 'vitest'
import { requireShareFor, splitOf, validOption } from '../../src/cli/train/split.ts'
import type { Survey } from '../../src/data/survey.ts'

test('a part to measure on is a share, per cent of all, or a name', () => {
  expect(['0.25', '20%', '2.5 %', 'val'].map(validOption)).toEqual([
    { share: 0.25 },
    { share: 0.2 },
    { share: 0.025 },
    { folder: 'val' },
  ])
  expect(validOption(undefined)).toEqual({})
  for (const given of ['0', '1', '100%', '-0.5', '2024']) expect(() => validOption(given)).toThrow('--valid')
})

/** Survey of images of two classes, three quarters of them of one. @param contentOf  digest of an image by its number */
function surveyOf(contentOf: (i: number) => string): Survey {
  const images = Array.from({ length: 40 }, (_, i) => {
    const label = String(Number(i < 10))
    return { path: `${label}/${i}.jpg`, label, content: contentOf(i), side: undefined }
  })
  return { images, folder: { path: 'set', targets: { kind: 'class' } } } as unknown as Survey
}

test.each([0, 1, 2, 3])(
  'a share of every class is measured on, and copies of an image are on one side, seed %s',
  (seed) => {
    // Pairs of copies: 0 and 1, 2 and 3, …
    const { images, ...survey } = surveyOf((i) => String(i >> 1))
    const { sideOf, text } = splitOf({ images, ...survey }, { valid: {}, seed })
    const sides = images.map(({ path }) => sideOf(path))
    const measured = (from: number, to: number) => sides.slice(from, to).filter((side) => side === 'valid').length
    expect([measured(0, 10), measured(10, 40)]).toEqual([2, 6])
    for (let i = 0; i < 40; i += 2) expect(sides[i]).toBe(sides[i + 1])
    expect(sideOf('another.jpg')).toBeUndefined()
    expect(text).toBe(`split    20% of every class to measure on, chosen at random by seed ${seed}`)
  },
)

test('sides that are given are kept, and no share is asked for beside them', () => {
  const survey = surveyOf(String)
  const images = survey.images.map((image, i) => ({ ...image, side: i < 30 ? 'train' : 'valid' }))
  const given = { ...survey, images } as unknown as Survey
  const { sideOf } = splitOf(given, { valid: {}, seed: 0 })
  expect(images.every(({ path, side }) => sideOf(path) === side)).toBe(true)
  expect(() => requireShareFor(given, { share: 0.3 })).toThrow('say already what is measured on')
  expect(() => requireShareFor(survey, { share: 0.3 })).not.toThrow()
})
