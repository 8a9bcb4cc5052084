import { backward } from '../../src/tensor/backward.ts'
import { tensor } from '../../src/tensor/read-write.ts'
import { scope } from '../../src/tensor/scope.ts'
import type { Shape } from '../../src/tensor/shape.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import type { Summary } from './golden.ts'

/** Result and gradient of an elementwise operation in PyTorch, for numbers drawn from a range. */
export interface ElementwiseCase {
  readonly name: string
  readonly seed: number
  readonly range: readonly [number, number]
  readonly y: Summary
  readonly dx: Summary
}

/**
 * Runs an operation of one operand forward and backward. The gradient of a leaf is f32 whatever the type of x, rounded to f16 once
 * before where that is f16.
 */
export function differentiated(
  operation: (x: Tensor) => Tensor,
  data: ArrayLike<number>,
  dy: ArrayLike<number>,
  shape: Shape,
  dtype: 'f32' | 'f16',
) {
  const x = tensor(data, shape, dtype)
  x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  const y = scope(() => {
    const made = operation(x)
    backward(made, tensor(dy, shape, dtype))
    return made
  })
  return { y, dx: x.leaf.gradient! }
}
