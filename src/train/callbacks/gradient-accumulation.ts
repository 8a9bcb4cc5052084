import { requireInteger } from '../../base/check.ts'
import { empty, launch } from '../../tensor/launcher.ts'
import { Cancel, type Callback } from '../fit/callback.ts'

/**
 * Steps only after so many items: the gradients of several batches add up to that of one large batch, for where a
 * large one does not fit the memory. Normalisation still sees the small ones.
 *
 * @param items  counted on from epoch to epoch; what a fit leaves over is forgotten. Default 32
 * @throws OptionError  when it is no count
 * Source: fastai callback/training.py, GradientAccumulation.
 */
export function gradientAccumulation(items = 32): Callback {
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
      if (count < items) throw new Cancel('batch', 'there are gradients to add')
      count = 0
    },
    state: () => count,
    restore: (saved) => {
      count = Number(saved)
    },
  }
}
