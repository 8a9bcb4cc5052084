import { empty } from '../../src/tensor/launch.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import type { KernelOperands } from '../../src/testing/kernel-operands.ts'

/** Makes tensors trainable, so that operations on them are recorded for backward. */
export function trainable(...tensors: readonly Tensor[]): void {
  for (const one of tensors) one.leaf = { trainable: true, gradient: undefined, hasGradient: false }
}

/** Operation that ran once, whose backward pass can be run separately and repeatedly. */
export interface Taped {
  readonly output: Tensor
  /** Tensors that the forward pass keeps for backward. */
  readonly extras: readonly Tensor[]
  /** Runs the backward pass and returns one new gradient per input. */
  backward(dy: Tensor): readonly (Tensor | undefined)[]
}

export function taped(operands: KernelOperands, operation: () => Tensor): Taped {
  const output = operands.own(operation())
  const { node } = output
  if (!node) throw new Error('bench: the operation has no trainable input')
  for (const extra of node.extras) operands.own(extra)
  return {
    output,
    extras: node.extras,
    backward: (dy) =>
      node.backward(dy, (index, dtype) => {
        const input = node.inputs[index]
        if (!input) throw new Error(`bench: input ${index} was left out`)
        return empty({ shape: input.shape, dtype: dtype ?? input.dtype })
      }),
  }
}
