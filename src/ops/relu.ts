import { elementwise, empty, launch } from '../tensor/launch.ts'
import { defineOp } from '../tensor/op.ts'
import type { Tensor } from '../tensor/tensor.ts'
import '../gpu/wgsl/relu/index.ts'

const op = defineOp<readonly [Tensor], undefined, undefined>({
  name: 'relu',
  plan: () => undefined,
  forward(_plan, [x]) {
    const y = empty(x, 'relu')
    launch('relu/forward', { x, y }, elementwise(y))
    return y
  },
  backward(_plan, dy, { output: y }, _needs, target) {
    const dx = target(0)
    launch('relu/backward', { y, dy, dx }, elementwise(dx))
    return [dx]
  },
})

/**
 * Computes the rectified linear unit.
 *
 *   y = max(x, 0),  dx = dy where y > 0, otherwise 0;  NaN in x gives NaN in y and dx = dy
 *
 * @param x  any shape, f16 | f32
 * @returns  shape and type of x
 */
export function relu(x: Tensor): Tensor {
  return op([x], undefined)
}
