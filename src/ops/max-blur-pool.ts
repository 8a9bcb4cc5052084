import { empty } from '../tensor/launch.ts'
import { defineOp } from '../tensor/op.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { maxBlurPoolOutput } from './plans/max-blur-pool.ts'
import { launchPool, planWindowPool, type WindowPoolPlan } from './plans/window-pool.ts'
import '../gpu/wgsl/max-blur-pool/index.ts'

const op = defineOp<readonly [Tensor], undefined, WindowPoolPlan>({
  name: 'maxBlurPool',

  plan([x]) {
    const [, P, Q] = maxBlurPoolOutput(x.shape)
    return planWindowPool(x, P, Q)
  },

  forward(plan, [x]) {
    const y = empty({ shape: plan.output, dtype: x.dtype }, 'maxBlurPool')
    launchPool('max-blur-pool/forward', { ...plan, shape: { ...plan.shape, WINDOW: 2 } }, { x, y }, 'y')
    return y
  },

  backward(plan, dy, { inputs: [x] }, _needs, target) {
    const dx = target(0)
    launchPool('max-blur-pool/backward', plan, { x, dy, dx }, 'dx')
    return [dx]
  },
})

/**
 * Pools without aliasing: the maximum of every 2×2 pixels, blurred and then subsampled by 2.
 *
 *   m[n,i,j,c] = max of x[n, i or i + 1, j or j + 1, c],  i < H − 1, j < W − 1
 *   y[n,p,q,c] = Σ k[a]·k[b]·m[n, 2p − 1 + a, 2q − 1 + b, c],  k = [1 2 1] / 4, m = 0 outside
 *
 * @param x  [N,H,W,C] f16 | f32, H and W ≥ 2
 * @returns  [N,⌊H/2⌋,⌊W/2⌋,C] in the type of x
 * @throws ShapeError  if x has another shape
 *
 * The gradient flows to the first maximum of a window, row by row, or to its last NaN, as in PyTorch. Backward keeps x.
 * Source: Zhang 2019, arXiv:1904.11486; kornia MaxBlurPool2d(3), whose ceil_mode makes no difference since its max pooling
 * has a stride of 1, and whose blur is padded with zeros.
 */
export function maxBlurPool(x: Tensor): Tensor {
  return op([x], undefined)
}
