import { elementwise, empty, launch, storageDtype } from '../tensor/launch.ts'
import { defineOp } from '../tensor/op.ts'
import { release } from '../tensor/scope.ts'
import { storedLastAxis, vectorCount } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { flatSum, onGrid } from '../gpu/grid.ts'
import '../gpu/wgsl/sum/index.ts'

const op = defineOp<readonly [Tensor], undefined, { readonly dtype: 'f32' | 'f16' }>({
  name: 'sum',
  plan: ([x]) => ({ dtype: storageDtype(x) }),

  forward({ dtype }, [x]) {
    const { RUN, PARTS, runs, total: all } = flatSum(vectorCount(x))
    const partial = empty({ shape: [4 * PARTS], dtype: 'f32' }, 'partial sums')
    const total = empty({ shape: [], dtype: 'f32' }, 'sum')
    launch('sum/runs', { x, partial }, onGrid(runs, { shape: { VECTORS: vectorCount(x), RUN }, dtype }))
    launch('sum/total', { partial, total }, onGrid(all, { shape: { COUNT: PARTS, DIVISOR: 1 } }))
    release(partial)
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
