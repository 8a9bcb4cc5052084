import { expect, test } from 'vitest'
import { collectFiles } from '../../src/platform/browser/collect.ts'

const image = Uint8Array.of(1)

test('samples lie in folders of their labels, which are folders that are looked into', async () => {
  const found = await collectFiles([
    { image, label: 'a.b' },
    { image, label: '-1' },
    { image, label: '__proto__' },
  ])
  expect([...found.keys()]).toEqual(['a.b/1.png', '-1/2.png', '__proto__/3.png'])
  for (const label of ['.net', '.', '..', 'a/b', '']) {
    await expect(collectFiles([{ image, label }])).rejects.toThrow(
      'collectFiles: a sample has no label that can be a folder',
    )
  }
})
