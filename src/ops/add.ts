import { elementwise, empty, launch } from '../tensor/launch.ts'
import { defineOp, requireAlike } from '../tensor/op.ts'
import type { Tensor } from '../tensor/tensor.ts'
import '../gpu/wgsl/add/forward.ts'

const op = defineOp<readonly [Tensor, Tensor], undefined, undefined>({
  name: 'add',
  required: 2,
  plan([a, b]) {
    requireAlike('add', { a, b })
    return undefined
  },
  forward(_plan, [a, b]) {
    const y = empty(a, 'add')
    launch('add/forward', { a, b, y }, elementwise(y))
    return y
  },
  backward: (_plan, dy) => [dy, dy],
})

/**
 * Adds two tensors element by element.
 *
 *   y = a + b
 *
 * @param a  any shape, f16 | f32
 * @param b  shape and type of a
 * @returns  shape and type of a
 * @throws ShapeError, DtypeError  if shapes or types differ
 */
export function add(a: Tensor, b: Tensor): Tensor {
  return op([a, b], undefined)
}
