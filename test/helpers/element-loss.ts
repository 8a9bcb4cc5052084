import { expect } from 'vitest'
import { backward } from '../../src/tensor/backward.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { scope } from '../../src/tensor/scope.ts'
import type { Shape } from '../../src/tensor/shape.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { roundToHalf } from '../../src/tensor/half.ts'
import { expectClose } from '../../src/testing/close.ts'
import { golden } from './golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'

/** Loss of single outputs as PyTorch has it (test/golden/make_element_losses.py). */
export interface ElementCase {
  readonly name: string
  readonly N: number
  readonly K: number
  readonly reduction: 'mean' | 'sum' | 'rows' | 'none'
  readonly weighted?: boolean
  readonly positive?: boolean
  readonly delta?: number
  readonly loss: readonly number[]
  readonly doutputs: readonly number[]
}

export function elementCases(name: string): readonly ElementCase[] {
  return golden<{ cases: readonly ElementCase[] }>('element_losses').cases.filter((one) => one.name === name)
}

/** Runs a loss forward and backward, the gradient of every number of the loss being 1. */
export async function lossAndGradient(
  outputs: ArrayLike<number>,
  shape: Shape,
  targets: ArrayLike<number>,
  run: (outputs: Tensor, targets: Tensor) => Tensor,
  dtype: 'f32' | 'f16' = 'f32',
) {
  const x = tensor(outputs, shape, dtype)
  x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  const loss = scope(() => {
    const made = run(x, tensor(targets, shape))
    const count = made.shape.reduce((product, axis) => product * axis, 1)
    backward(made, tensor(new Float32Array(count).fill(1), made.shape))
    return made
  })
  return { loss: await read(loss), shape: loss.shape, gradient: await read(x.leaf.gradient!) }
}

/** Throws unless loss and gradient are PyTorch's. */
export async function expectElementLoss(
  { N, K, reduction, loss: want, doutputs }: ElementCase,
  targets: ArrayLike<number>,
  dtype: 'f32' | 'f16',
  run: (outputs: Tensor, targets: Tensor) => Tensor,
): Promise<void> {
  const outputs = hashUniform(N * K, 1, -6, 6).map(roundToHalf)
  const { loss, shape, gradient } = await lossAndGradient(outputs, [N, K], targets, run, dtype)
  expect(shape).toEqual({ mean: [], sum: [], rows: [N], none: [N, K] }[reduction])
  expectClose(loss, want, 'f32', { name: 'loss' })
  expectClose(gradient, doutputs, dtype, { name: 'doutputs', shape: [N, K] })
}
