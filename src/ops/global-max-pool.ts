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
  name: 'globalMaxPool',

  plan([x]) {
    if (x.shape.length !== 4) {
      throw new ShapeError('globalMaxPool', 'x must be a batch of images', { given: { x }, expected: 'x as [N,H,W,C]' })
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
