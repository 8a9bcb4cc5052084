import { elementwise, empty, launch } from '../tensor/launch.ts'
import { defineOp } from '../tensor/op.ts'
import type { Tensor } from '../tensor/tensor.ts'
import '../gpu/wgsl/mish/index.ts'

const op = defineOp<readonly [Tensor], undefined, undefined>({
  name: 'mish',
  plan: () => undefined,
  forward(_plan, [x]) {
    const y = empty(x, 'mish')
    launch('mish/forward', { x, y }, elementwise(y))
    return y
  },
  backward(_plan, dy, { inputs: [x] }, _needs, target) {
    const dx = target(0)
    launch('mish/backward', { x, dy, dx }, elementwise(dx))
    return [dx]
  },
})

/**
 * Computes the Mish activation, a smooth relative of ReLU that passes small negative values.
 *
 *   y = x · tanh(ln(1 + exp(x)))
 *
 * @param x  any shape, f16 | f32
 * @returns  shape and type of x
 *
 * Backward keeps x. Source: Misra 2019, arXiv:1908.08681; torch.nn.Mish.
 */
export function mish(x: Tensor): Tensor {
  return op([x], undefined)
}
