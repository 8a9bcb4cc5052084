import { expect, test } from 'vitest'
import { DataError } from '../../../src/base/errors.ts'
import { augTransforms } from '../../../src/data/augment/transforms.ts'
import { Learner } from '../../../src/train/learner.ts'
import { combinePasses } from '../../../src/train/results/tta.ts'
import { fakePlatform } from '../../helpers/fake-platform.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { stripes, tinyLoaders, tinyModel } from '../../helpers/tiny.ts'

await openTestGpu()

const f = (...values: number[]) => Float32Array.from(values)

test('passes .6 .7 .2 .5 have the mean .5, with a quarter of a plain .9 they give .6, and the largest is .9', () => {
  const passes = [f(0.6), f(0.7), f(0.2), f(0.5)]
  const [[mean], [value], [most]] = ([0, 0.25, 'max'] as const).map((how) => combinePasses(passes, f(0.9), how))
  expect(mean).toBeCloseTo(0.5, 6)
  expect(value).toBeCloseTo(0.6, 6)
  expect(most).toBeCloseTo(0.9, 6)
})

test('beta is the weight of the plain pass', () => {
  expect([...combinePasses([f(1, 0)], f(0, 1), 0)]).toEqual([1, 0])
  expect([...combinePasses([f(1, 0)], f(0, 1), 1)]).toEqual([0, 1])
})

test('or the largest of all', () => {
  expect([...combinePasses([f(0.25, 0), f(0.5, 1)], f(0.75, 0.5), 'max')]).toEqual([0.75, 1])
})

test('a file that can be read in some passes only is none of a mean', async () => {
  let failures = 0
  const picture = (path: string) => {
    // A network share that drops out for a moment: the next pass reads the file.
    if (path.endsWith('/9.png') && failures++ < 1) throw new DataError(path, 'the network is down')
    return stripes(path, 16)
  }
  const loaders = await tinyLoaders({ platform: fakePlatform({ picture }), batchTransforms: augTransforms() })
  const learner = new Learner(loaders, tinyModel())
  await expect(learner.tta()).rejects.toThrow('tta: some files could be read in some passes only')
  expect((await learner.tta()).predictions.rows).toBe(6)
})

test('a weight of the plain pass is none of the largest of all passes', async () => {
  const learner = new Learner(await tinyLoaders(), tinyModel())
  const options: object = { beta: 0.5, useMax: true }
  await expect(learner.tta(options)).rejects.toThrowErrorMatchingInlineSnapshot(`
    [OptionError: tta: beta weighs a mean, and useMax takes none
      beta    0.5
      useMax  true
      Fix: leave one of them out]
  `)
})
