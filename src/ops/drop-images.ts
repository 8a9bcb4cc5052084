import { DtypeError, ShapeError } from '../base/errors.ts'
import { elementwise, empty, launch } from '../tensor/launch.ts'
import { defineOp } from '../tensor/op.ts'
import { vectorCount } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import '../gpu/wgsl/drop-images/index.ts'

const op = defineOp<readonly [x: Tensor, factors: Tensor], undefined, undefined>({
  name: 'dropImages',
  required: 2,

  plan([x, factors]) {
    if (factors.dtype !== 'f32') {
      throw new DtypeError('dropImages', 'the factors must be f32', { given: { factors }, expected: 'f32' })
    }
    if (x.shape.length < 2 || factors.shape.length !== 1 || factors.shape[0] !== x.shape[0]) {
      throw new ShapeError('dropImages', 'there must be one factor per image', {
        given: { x, factors },
        expected: 'x as [N,…,C], the factors as [N]',
      })
    }
    return undefined
  },

  forward(_plan, [x, factors]) {
    const y = empty(x, 'dropImages')
    apply(x, factors, y)
    return y
  },

  backward(_plan, dy, { inputs: [, factors] }, _needs, target) {
    const dx = target(0)
    apply(dy, factors, dx)
    return [dx, undefined]
  },
})

function apply(x: Tensor, factors: Tensor, y: Tensor): void {
  const VECTORS = vectorCount(x)
  const shape = { VECTORS, PER_IMAGE: VECTORS / x.shape[0] }
  launch('drop-images/apply', { x, factors, y }, { ...elementwise(x), shape })
}

/**
 * Multiplies each image by a factor of its own: 0 where stochastic depth leaves it out, 1 / (1 − p) elsewhere.
 *
 *   y[n,…] = x[n,…] · factors[n]
 *
 * @param x        [N,…,C] f16 | f32
 * @param factors  [N] f32, drawn on the CPU; they have no gradient
 * @returns        shape and type of x
 * @throws ShapeError, DtypeError  if the factors do not fit x
 *
 * Source: Huang et al. 2016, arXiv:1603.09382; torchvision.ops.stochastic_depth with mode 'row'.
 */
export function dropImages(x: Tensor, factors: Tensor): Tensor {
  return op([x, factors], undefined)
}
