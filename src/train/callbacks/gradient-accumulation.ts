import { requireInteger } from '../../base/check.ts'
import { checkArgument, NUMBER } from '../../base/options.ts'
import { empty, launch } from '../../tensor/launch.ts'
import { Cancel, type Callback } from '../fit/callback.ts'
import '../../gpu/wgsl/optim/part-of-scale.ts'

/**
 * Makes a callback that accumulates gradients over several batches and updates the parameters once at least `items`
 * items have contributed: the gradients then equal those of one large batch, which need not fit into memory. Batch
 * normalization still normalizes over the small batches.
 *
 *   gradients = Σ count·(gradients of the mean loss of a batch of count items) / items
 *
 * Where `items` is no multiple of the batch size, more items contribute, and the gradients are larger by as much, as in
 * fastai: those of batches of 64 are doubled by 32 items.
 *
 * @param items  number of items per update, counted across epochs; gradients left over at the end of a fit are
 *   discarded. Default 32
 * @throws OptionError  unless items is a positive integer
 * Source: fastai callback/training.py, GradientAccumulation.
 */
export function gradientAccumulation(items = 32): Callback {
  checkArgument('gradientAccumulation', 'items', items, NUMBER)
  requireInteger('gradientAccumulation', 'items', items, { from: 1 })
  let count = 0
  return {
    name: 'gradientAccumulation',
    options: { items },
    order: 6,
    runsOn: 'train',
    beforeFit() {
      count = 0
    },
    beforeBackward(_state, step) {
      if (!step.seed) return
      const seed = empty(step.seed, 'seed')
      const constants = { SHARE: step.batch.count / items }
      launch('optim/part-of-scale', { scale: step.seed, seed }, { groups: 1, constants, track: 'optimizer' })
      step.seed = seed
    },
    beforeStep(_state, { batch }) {
      count += batch.count
      if (count < items) throw new Cancel('batch', 'more gradients are to be accumulated')
      count = 0
    },
    state: () => count,
    restore: (saved) => {
      count = Number(saved)
    },
  }
}
