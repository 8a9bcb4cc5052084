import { expect, test } from 'vitest'
import type { Output } from '../../src/cli/output.ts'
import { learningRate } from '../../src/cli/train/learning-rate.ts'
import type { Settings } from '../../src/cli/train/options.ts'
import { OptionError } from '../../src/base/errors.ts'
import type { Learner } from '../../src/node.ts'
import type { RunFolder } from '../../src/platform/node/run-folder.ts'
import { memoryFiles } from '../helpers/memory-files.ts'

/** Learning rate of a run, and what is said about it, where the search ends so. */
async function found(
  search: () => Promise<object>,
  {
    files = memoryFiles(),
    lr = null,
    pretrained = null,
  }: Partial<Settings> & { files?: ReturnType<typeof memoryFiles> } = {},
) {
  const lines: string[] = []
  const output = { say: (line: string) => lines.push(line), document: () => {}, platform: { files } }
  const run = { file: (name: string) => name, write: (name: string, text: string) => files.write(name, text) }
  const learner = { lrFind: search } as unknown as Learner
  const rate = await learningRate(
    output as unknown as Output,
    run as unknown as RunFolder,
    { lr, pretrained } as Settings,
    () => Promise.resolve(learner),
  )
  return { lr: rate.lr, lines }
}
const suggesting = (lr: number) => () => Promise.resolve({ suggestions: { valley: { lr } } })

test('a rate of the search is taken within the usual ones, and said where it is beyond them', async () => {
  expect(await found(suggesting(2e-3))).toMatchObject({ lr: 2e-3 })
  const [high, low] = [await found(suggesting(0.5)), await found(suggesting(1e-6))]
  expect([high.lr, low.lr]).toEqual([1e-2, 1e-4])
  expect(high.lines.at(-1)).toBe('learning rate 1.00e-2 (the curve says 5.0e-1, which is beyond the usual)')
})

test('where the search finds none it is the usual one; other errors are errors', async () => {
  const none = () => Promise.reject(new OptionError('lrFind', 'the search ended too early for a suggestion'))
  expect(await found(none)).toMatchObject({ lr: 3e-3 })
  expect(await found(none, { pretrained: 'weights.pth' })).toMatchObject({ lr: 2e-3 })
  await expect(found(() => Promise.reject(new TypeError('a mistake')))).rejects.toThrow('a mistake')
})

test('what was found once is taken again, and nothing is searched where a rate is given', async () => {
  const files = memoryFiles()
  const never = () => Promise.reject(new TypeError('searched'))
  await found(suggesting(2e-3), { files })
  expect(await found(never, { files })).toMatchObject({ lr: 2e-3, lines: [] })
  expect(await found(never, { lr: 0.25 })).toMatchObject({ lr: 0.25 })
  await files.write('learning-rate.json', '{ "lr": "fast" }')
  await expect(found(never, { files })).rejects.toThrow('a damaged file: its lr is invalid')
})
