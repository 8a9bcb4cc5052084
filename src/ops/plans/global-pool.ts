import { ShapeError } from '../../base/errors.ts'
import { formatShape } from '../../base/format.ts'
import { storageDtype } from '../../tensor/launch.ts'
import { padTo4 } from '../../tensor/shape.ts'
import type { Tensor } from '../../tensor/tensor.ts'

/** Launch of a pool over whole images: one thread per image and vector of four channels. */
export interface GlobalPoolPlan {
  readonly shape: { readonly N: number; readonly PIXELS: number; readonly VECTORS: number }
  readonly groups: number
  readonly dtype: 'f32' | 'f16'
  readonly detail: string
}

/** Plans a pool over whole images. @throws ShapeError  if x is not a batch of images, [N,H,W,C] */
export function planGlobalPool(name: string, x: Tensor): GlobalPoolPlan {
  if (x.shape.length !== 4) {
    throw new ShapeError(name, 'x must be a batch of images', { given: { x }, expected: 'x as [N,H,W,C]' })
  }
  const [N, H, W, C] = x.shape
  const VECTORS = padTo4(C) / 4
  return {
    shape: { N, PIXELS: H * W, VECTORS },
    groups: Math.ceil((N * VECTORS) / 64),
    dtype: storageDtype(x),
    detail: formatShape(x.shape),
  }
}
