import { ShapeError } from '../base/errors.ts'
import { formatShape } from '../base/format.ts'
import { empty, launch, storageDtype } from '../tensor/launch.ts'
import { defineOp } from '../tensor/op.ts'
import { padTo4 } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'

interface Plan {
  readonly shape: { readonly N: number; readonly PIXELS: number; readonly VECTORS: number }
  readonly groups: number
  readonly dtype: 'f32' | 'f16'
  readonly detail: string
}

const op = defineOp<readonly [Tensor], undefined, Plan>({
  name: 'globalAvgPool',

  plan([x]) {
    if (x.shape.length !== 4) {
      throw new ShapeError('globalAvgPool', 'x must be a batch of images', { given: { x }, expected: 'x as [N,H,W,C]' })
    }
    const [N, H, W, C] = x.shape
    const VECTORS = padTo4(C) / 4
    return {
      shape: { N, PIXELS: H * W, VECTORS },
      groups: Math.ceil((N * VECTORS) / 64),
      dtype: storageDtype(x),
      detail: formatShape(x.shape),
    }
  },

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
