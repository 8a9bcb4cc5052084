import { elementwise, empty, launch, storageDtype } from '../tensor/launch.ts'
import { defineOp } from '../tensor/op.ts'
import { storedLastAxis, vectorCount } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { sumInto } from './plans/sum-into.ts'
import '../gpu/wgsl/sum/backward.ts'

const op = defineOp<readonly [Tensor], undefined, undefined>({
  name: 'sum',
  plan: ([x]) => void storageDtype(x),

  forward(_plan, [x]) {
    const total = empty({ shape: [], dtype: 'f32' }, 'sum')
    sumInto(total, x)
    return total
  },

  backward(_plan, dy, { inputs: [x] }, _needs, target) {
    const dx = target(0)
    const shape = { VECTORS: vectorCount(x), COLUMNS: storedLastAxis(x) / 4, C: x.shape.at(-1) ?? 1 }
    launch('sum/backward', { dy, dx }, { ...elementwise(dx), shape })
    return [dx]
  },
})

/**
 * Sums all elements.
 *
 *   y = Σ x,  dx = dy everywhere
 *
 * @param x  any shape, f16 | f32
 * @returns  [] f32
 */
export function sum(x: Tensor): Tensor {
  return op([x], undefined)
}
