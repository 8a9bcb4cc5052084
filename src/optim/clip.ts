import { requireNumber } from '../base/check.ts'
import { empty, launch } from '../tensor/launch.ts'
import { release } from '../tensor/scope.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { clearGradient, buffersOf, overBlocks } from './flat.ts'
import type { LossScaler } from './loss-scaler.ts'
import type { Optimizer } from './optimizer.ts'

/** Workgroups that add up a chunk, each a block at a time: as many as keep a large GPU busy, few enough for one more to add up what they found. */
const GROUPS = 512

/**
 * Shortens all gradients together where they are longer than maxNorm. Called between `backward` and the optimizer's
 * step; nothing is waited for.
 *
 *   norm = √Σ (g / scale)² over all gradients g of all parameters,  g ← g · min(1, maxNorm / (norm + 1e-6))
 *
 * A bad step stays one: infinities and NaN are left in place, and the other gradients become 0.
 *
 * @param optimizer  optimizer of the parameters whose gradients are clipped
 * @param maxNorm    of the gradients of the loss itself, > 0; fastai's GradientClip takes 1
 * @param scaler     holds what the loss was multiplied by; the optimizer's step is given the same
 * @returns norm, [] f32, before anything was shortened; it belongs to the scope around
 * @throws OptionError  when maxNorm is not above 0, or another optimizer has taken the parameters
 * Source: torch.nn.utils.clip_grad_norm_ as fastai callback/training.py, GradientClip, calls it.
 */
export function clipGradients(optimizer: Optimizer, maxNorm: number, { scale }: LossScaler): Tensor {
  requireNumber('clipGradients', 'maxNorm', maxNorm, { above: 0 })
  const { chunks } = buffersOf(optimizer.groups.flat())
  // What is there of an earlier step does not count.
  for (const slot of chunks.flatMap(({ slots }) => slots)) if (!slot.parameter.leaf.hasGradient) clearGradient(slot)
  const counts = chunks.map(({ blocks }) => Math.min(GROUPS, blocks))
  const total = counts.reduce((sum, count) => sum + count, 0)
  const sums = empty({ shape: [total, 4], dtype: 'f32' }, 'sums of squares')
  const norm = empty({ shape: [], dtype: 'f32' }, 'norm of the gradients')
  const factor = empty({ shape: [], dtype: 'f32' }, 'factor of the gradients')
  const rows = { LANES: 1, ROWS: 64 }
  const track = 'optimizer'
  let OFFSET = 0
  chunks.forEach(({ gradients, blocks }, i) => {
    const shape = { BLOCKS: blocks, OFFSET }
    launch('optim/square-sums', { gradients, scale, sums }, { groups: counts[i], shape, constants: rows, track })
    OFFSET += counts[i]
  })
  const constants = { ...rows, MAX_NORM: maxNorm }
  launch('optim/clip-factor', { sums, norm, factor }, { groups: 1, shape: { COUNT: total }, constants, track })
  for (const { gradients, blocks } of chunks) {
    launch('optim/scale-gradients', { factor, gradients }, overBlocks(blocks))
  }
  release(sums)
  release(factor)
  return norm
}
