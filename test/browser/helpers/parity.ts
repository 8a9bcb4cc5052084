import { CategoryBlock, ImageBlock } from '../../../src/data/blocks.ts'
import { DataBlock } from '../../../src/data/data-block.ts'
import { parentLabel } from '../../../src/data/items.ts'
import { xresnet18 } from '../../../src/nn/xresnet.ts'
import type { Platform } from '../../../src/platform/platform.ts'
import { Learner } from '../../../src/train/learner.ts'
import { stripes } from '../../helpers/tiny.ts'

/** Steps of the run that a page is compared with Node by. */
export const STEPS = 30
/** With a larger batch than usual, since at the end 1 × 1 pixels of each image are left to the batch norms. */
const SIZE = 32
/** Small, so that rounding does not grow from step to step. */
const RATE = 3e-5
const BATCH = 8

/**
 * Losses of the first steps of xresnet18 on drawn images, the same on every platform but for what the GPU computes.
 *
 * @param precision  'mixed' stores activations in f16
 */
export async function fitLosses(platform: Platform, precision: 'f32' | 'mixed', steps: number): Promise<number[]> {
  const kinds = ['across', 'slanted', 'upright']
  const items = Array.from({ length: BATCH * steps + 3 }, (_, i) => `set/${kinds[i % 3]}/${i}.png`)
  const block = new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: () => items,
    getY: parentLabel,
    splitter: () => ({
      train: Uint32Array.from({ length: BATCH * steps }, (_, i) => i),
      valid: Uint32Array.from({ length: 3 }, (_, i) => BATCH * steps + i),
    }),
  })
  const drawn: Platform = {
    ...platform,
    log: () => {},
    status: undefined,
    files: { ...platform.files, glance: undefined },
    decoder: { threads: 1, decode: async ({ path }) => stripes(path, SIZE), close: () => Promise.resolve() },
  }
  const loaders = await block.loaders('set', { batchSize: BATCH, seed: 1, platform: drawn })
  const learner = new Learner(loaders, xresnet18({ outputs: 3, seed: 2 }))
  if (precision === 'mixed') learner.toFp16()
  await learner.fit(1, RATE)
  return learner.recorder.rawLosses
}
