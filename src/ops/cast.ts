import { checkArgument } from '../base/options.ts'
import { elementwise, empty, launch } from '../tensor/launch.ts'
import { defineOp } from '../tensor/op.ts'
import { TENSOR, type Tensor } from '../tensor/tensor.ts'
import '../gpu/wgsl/cast/index.ts'

/** Type of a tensor of floats. */
export type Float = 'f32' | 'f16'

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
 * Converts a tensor to another float type. To f16 it rounds to nearest even, and to infinity from 65520 on.
 *
 * @param x   any shape, f16 | f32
 * @param to  type of the result
 * @returns   x itself if it has that type already
 */
export function cast(x: Tensor, to: Float): Tensor {
  checkArgument('cast', 'x', x, TENSOR)
  return x.dtype === to ? x : op([x], to)
}
