import { elementwise, empty, launch } from '../tensor/launch.ts'
import { defineOp } from '../tensor/op.ts'
import type { Tensor } from '../tensor/tensor.ts'

type Float = 'f32' | 'f16'

const op = defineOp<readonly [Tensor], Float, { readonly to: Float }>({
  name: 'cast',
  plan: (_inputs, to) => ({ to }),
  forward: ({ to }, [x]) => converted(x, empty({ shape: x.shape, dtype: to }, 'cast')),
  backward: (_plan, dy, _saved, _needs, target) => [converted(dy, target(0))],
})

function converted(x: Tensor, y: Tensor): Tensor {
  launch(y.dtype === 'f32' ? 'cast/to-f32' : 'cast/to-f16', { x, y }, { ...elementwise(x), dtype: 'f16' })
  return y
}

/**
 * The same numbers in another float type; to f16 rounded to nearest even, from 65520 on infinite.
 *
 * @param x   any shape, f16 | f32
 * @param to  the type wanted
 * @returns   x itself where it has that type already
 */
export function cast(x: Tensor, to: Float): Tensor {
  return x.dtype === to ? x : op([x], to)
}
