import { expect, test } from 'vitest'
import { className } from '../../bench/page/class-name.ts'
import { getImageFiles, parentLabel } from '../../src/data/items.ts'
import { sameSpelling } from '../../src/data/targets.ts'
import { blobFiles } from '../../src/platform/browser/blob-files.ts'
import { collectFiles } from '../../src/platform/browser/collect.ts'
import type { Platform } from '../../src/platform/platform.ts'

test.each(['cat', 'and/or', '.hidden', '.', '..', '../x', '/', 'a\\b', 'قطة', ' spaces around '])(
  'the class %j is trained on under its name',
  async (typed) => {
    const name = className(typed)
    expect(name).not.toBe('')
    const found = await collectFiles(new Map([[`${name}/0.jpg`, new Blob(['x'])]]))
    const platform = { files: blobFiles(found), log: () => {} } as unknown as Platform
    const images = await getImageFiles('', { platform })
    expect(images.map(parentLabel)).toEqual([name])
    // What the network calls it is the same class again.
    expect(className(name)).toBe(name)
  },
)

test('letters of one name are one class, as its label is one, however a disk writes them', () => {
  const name = className('cafe\u0301')
  expect(name).toBe(className('caf\u00e9'))
  expect(sameSpelling(name)).toBe(name)
})
