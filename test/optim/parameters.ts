import { Parameter, type ParameterKind } from '../../src/nn/parameter.ts'
import type { Hyperparameters } from '../../src/optim/optimizer.ts'
import { roundToHalf } from '../../src/tensor/half.ts'
import { elementCount, type Shape } from '../../src/tensor/shape.ts'
import { read, upload } from '../../src/tensor/read-write.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'

/** A parameter with numbers of [-1, 1). */
export function parameter(name: string, shape: Shape, kind: ParameterKind = 'weight', seed = 1): Parameter {
  return new Parameter(name, shape, kind, () => hashUniform(elementCount(shape), seed, -1, 1))
}

/** Two groups with every kind: the last axes 3, 5 and 130 are padded, and [2,130,3] begins a fifth block. */
export function parameterGroups(): Parameter[][] {
  return [
    [parameter('a', [2, 130, 3], 'weight', 1), parameter('b', [5], 'bias', 2)],
    [parameter('c', [3, 3, 3, 5], 'weight', 3), parameter('d', [130], 'norm', 4), parameter('e', [1], 'norm', 5)],
  ]
}

/** Puts a gradient where backward would. */
export function setGradient({ leaf }: Parameter, data: ArrayLike<number>): void {
  upload(leaf.gradient!, data)
  leaf.hasGradient = true
}

/** What the group's hyper-parameters are for that parameter. */
export function hypersFor({ kind }: Parameter, group: Hyperparameters): Hyperparameters {
  return kind === 'weight' ? group : { ...group, weightDecay: 0 }
}

export const valuesOf = (parameters: readonly Parameter[]) => Promise.all(parameters.map(({ value }) => read(value)))
export const bits = (data: ArrayLike<number>) => [...new Uint32Array(Float32Array.from(data).buffer)]
export const roundedBits = (data: ArrayLike<number>) => bits(Array.from(data, roundToHalf))
export const ones = (count: number) => new Float32Array(count).fill(1)
