import { empty, launch } from '../tensor/launch.ts'
import { defineOp } from '../tensor/op.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { planGlobalPool, type GlobalPoolPlan } from './plans/global-pool.ts'
import '../gpu/wgsl/global-max-pool/index.ts'

const op = defineOp<readonly [Tensor], undefined, GlobalPoolPlan>({
  name: 'globalMaxPool',

  plan: ([x]) => planGlobalPool('globalMaxPool', x),

  forward(plan, [x]) {
    const { N, VECTORS } = plan.shape
    const y = empty({ shape: [N, x.shape[3]], dtype: x.dtype }, 'globalMaxPool')
    const places = empty({ shape: [N, VECTORS, 4], dtype: 'u32' }, 'places of maxima')
    launch('global-max-pool/forward', { x, y, places }, plan)
    return { output: y, extras: [places] }
  },

  backward(plan, dy, { extras: [places] }, _needs, target) {
    const dx = target(0)
    launch('global-max-pool/backward', { dy, places, dx }, plan)
    return [dx]
  },
})

/**
 * Returns the largest value of every channel over each image.
 *
 *   y[n,c] = max_{h,w} x[n,h,w,c]
 *
 * The gradient flows to the first maximum, row by row, or to the last NaN, as in PyTorch.
 *
 * @param x  [N,H,W,C] f16 | f32
 * @returns  [N,C] in the type of x
 * @throws ShapeError  if x is not a batch of images
 */
export function globalMaxPool(x: Tensor): Tensor {
  return op([x], undefined)
}
