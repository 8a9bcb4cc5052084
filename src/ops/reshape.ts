import { ShapeError } from '../base/errors.ts'
import { formatShape } from '../base/format.ts'
import { checkArgument } from '../base/options.ts'
import { defineOp } from '../tensor/op.ts'
import { checkShape, elementCount, type Shape } from '../tensor/shape.ts'
import { TENSOR, type Tensor } from '../tensor/tensor.ts'

const op = defineOp<readonly [Tensor], Shape, { readonly shape: Shape }>({
  name: 'reshape',

  plan([x], shape) {
    checkShape('reshape', shape)
    const { dtype } = x
    const given = { from: formatShape(x), to: formatShape({ shape, dtype }) }
    if (elementCount(shape) !== elementCount(x.shape)) {
      throw new ShapeError('reshape', 'the numbers of elements differ', {
        given,
        expected: `${elementCount(x.shape)} elements`,
      })
    }
    const before = x.shape.at(-1) ?? 1
    const after = shape.at(-1) ?? 1
    if (dtype !== 'u32' && before !== after && (before % 4 !== 0 || after % 4 !== 0)) {
      throw new ShapeError(
        'reshape',
        'the last axis is stored padded to a multiple of four, so the elements would have to move',
        {
          given,
          expected: 'the same last axis, or two that are multiples of four',
        },
      )
    }
    return { shape }
  },

  forward: ({ shape }, [x]) => x.viewAs(shape),
  backward: (_plan, dy, { inputs: [x] }) => [dy.viewAs(x.shape)],
})

/**
 * Returns the same elements in the same order in another shape, without a copy.
 *
 * @param x      any type
 * @param shape  shape of as many elements; a last axis that is not a multiple of four must stay
 * @returns      tensor of that shape in the type of x
 * @throws ShapeError  if the elements do not fit
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  return op([x], shape)
}

/** Flattens [N,…] to [N, product of the other axes]; see `reshape`. */
export function flatten(x: Tensor): Tensor {
  checkArgument('flatten', 'x', x, TENSOR)
  const [N, ...rest] = x.shape
  return reshape(x, [N, elementCount(rest)])
}
