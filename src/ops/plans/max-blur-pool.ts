import { ShapeError } from '../../base/errors.ts'
import type { Shape } from '../../tensor/shape.ts'

/** Returns the shape of the result of `maxBlurPool`: [N,⌊H/2⌋,⌊W/2⌋,C]. @throws ShapeError  if x is not a batch of images of at least 2×2 */
export function maxBlurPoolOutput(shape: Shape): Shape {
  const [N, H, W, C] = shape
  if (shape.length === 4 && H >= 2 && W >= 2) return [N, Math.floor(H / 2), Math.floor(W / 2), C]
  throw new ShapeError('maxBlurPool', 'x must be a batch of images of at least 2×2', {
    given: { x: shape },
    expected: 'x as [N,H,W,C], with H and W ≥ 2',
  })
}
