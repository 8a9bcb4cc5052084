import { empty, launch } from '../tensor/launch.ts'
import { defineOp } from '../tensor/op.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { planGlobalPool, type GlobalPoolPlan } from './plans/global-pool.ts'
import '../gpu/wgsl/global-avg-pool/index.ts'

const op = defineOp<readonly [Tensor], undefined, GlobalPoolPlan>({
  name: 'globalAvgPool',

  plan: ([x]) => planGlobalPool('globalAvgPool', x),

  forward(plan, [x]) {
    const y = empty({ shape: [x.shape[0], x.shape[3]], dtype: x.dtype }, 'globalAvgPool')
    launch('global-avg-pool/forward', { x, y }, plan)
    return y
  },

  backward(plan, dy, _saved, _needs, target) {
    const dx = target(0)
    launch('global-avg-pool/backward', { dy, dx }, plan)
    return [dx]
  },
})

/**
 * Averages every channel over each image.
 *
 *   y[n,c] = Σ_{h,w} x[n,h,w,c] / (H·W),  dx[n,h,w,c] = dy[n,c] / (H·W)
 *
 * @param x  [N,H,W,C] f16 | f32
 * @returns  [N,C] in the type of x; sums are f32
 * @throws ShapeError  if x is not a batch of images
 */
export function globalAvgPool(x: Tensor): Tensor {
  return op([x], undefined)
}
