import { requireNumber } from '../base/check.ts'
import { empty, launch } from '../tensor/launch.ts'
import { release } from '../tensor/scope.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { clearGradient, buffersOf, overBlocks } from './flat.ts'
import type { LossScaler } from './loss-scaler.ts'
import type { Optimizer } from './optimizer.ts'
import '../gpu/wgsl/optim/clip-factor.ts'
import '../gpu/wgsl/optim/scale-gradients.ts'
import '../gpu/wgsl/optim/square-sums.ts'

/** Most workgroups that sum a chunk: enough to keep a large GPU busy, few enough for one more workgroup to add up their results. */
const GROUPS = 512

/**
 * Scales all gradients down if their joint norm exceeds maxNorm. Called between `backward` and the step of the optimizer;
 * runs entirely on the GPU.
 *
 *   norm = √Σ (g / scale)² over all gradients g of all parameters,  g ← g · min(1, maxNorm / (norm + 1e-6))
 *
 * A step that must be skipped stays recognizable: Inf and NaN remain, and the other gradients become 0.
 *
 * @param optimizer  optimizer of the parameters whose gradients are clipped
 * @param maxNorm    largest norm of the gradients of the unscaled loss, > 0; 1 in fastai's GradientClip
 * @param scaler     loss scaler of the step, whose scale the gradients contain
 * @returns norm before clipping, [] f32, owned by the enclosing scope
 * @throws OptionError  if maxNorm is not above 0, or the parameters are attached to another optimizer
 * Source: torch.nn.utils.clip_grad_norm_, as called by fastai callback/training.py, GradientClip.
 */
export function clipGradients(optimizer: Optimizer, maxNorm: number, { scale }: LossScaler): Tensor {
  requireNumber('clipGradients', 'maxNorm', maxNorm, { above: 0 })
  const { chunks } = buffersOf(optimizer.groups.flat())
  // Gradients of an earlier step do not count.
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
