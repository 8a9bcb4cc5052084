import { expect, test } from 'vitest'
import { learnerOf } from '../../src/cli/train/build.ts'
import type { Settings } from '../../src/cli/train/options.ts'
import { DataBlock, ImageBlock, RegressionBlock } from '../../src/node.ts'
import { fakePlatform } from '../helpers/fake-platform.ts'
import { openTestGpu } from '../helpers/gpu.ts'

await openTestGpu()

test('the range of numbers is that of hundreds of thousands of items', async () => {
  const block = new DataBlock({
    blocks: [ImageBlock(), RegressionBlock()],
    getItems: () => Array.from({ length: 10 }, (_, i) => `${i}.png`),
    getY: (path) => Number(path[0]),
  })
  const loaders = await block.loaders('set', { batchSize: 2, platform: fakePlatform() })
  // Very many of the number 4, and one 6 at their end.
  const items = new Uint32Array(200_000).fill(4)
  items[items.length - 1] = 6
  Object.defineProperty(loaders.train, 'items', { value: items })
  const settings = { targets: 'numbers', model: 'xresnet18', widen: 0.25, seed: 0, fp32: true } as Partial<Settings>
  const learner = await learnerOf(settings as Settings, loaders, undefined, [])
  const state = await learner.model.stateDict()
  const [low, span] = ['low', 'span'].map((name) => [...state].find(([path]) => path.endsWith(`.${name}`))?.[1].data[0])
  // A tenth of the range beyond either end.
  expect(low).toBeCloseTo(3.8, 6)
  expect(span).toBeCloseTo(2.4, 6)
})
