import { ShapeError } from '../base/errors.ts'
import { formatShape } from '../base/format.ts'
import { DTYPE_BYTES, type Dtype } from './dtype.ts'

/** Sizes of the axes of a tensor; [] for a scalar. */
export type Shape = readonly number[]

/** Shape and storage type of a tensor. */
export interface Spec {
  readonly shape: Shape
  readonly dtype: Dtype
}

/** Returns the number of elements: the product of the axes, 1 for a scalar `[]`. */
export function elementCount(shape: Shape): number {
  return shape.reduce((product, axis) => product * axis, 1)
}

/** Rounds a count up to a multiple of four, the stored size of the last axis of a float tensor. */
export function padTo4(count: number): number {
  return Math.ceil(count / 4) * 4
}

/** Returns the stored size of the last axis: padded to a multiple of four for floats, unpadded for u32. */
export function storedLastAxis({ shape, dtype }: Spec): number {
  const last = shape.length > 0 ? shape[shape.length - 1] : 1
  return dtype === 'u32' ? last : padTo4(last)
}

/** Returns the number of stored elements, including the padding of the last axis. */
export function storedCount(spec: Spec): number {
  return elementCount(spec.shape.slice(0, -1)) * storedLastAxis(spec)
}

/** Returns the stored size in bytes, a multiple of 16 so that whole vectors can be bound. */
export function storedBytes(spec: Spec): number {
  return Math.ceil((storedCount(spec) * DTYPE_BYTES[spec.dtype]) / 16) * 16
}

/** Returns the number of vectors of four channels in a float tensor, over which element-wise kernels run. */
export function vectorCount(spec: Spec): number {
  return storedCount(spec) / 4
}

/** Returns true if two shapes are equal. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((axis, i) => axis === b[i])
}

/** Returns true for a list of whole numbers from 0 on, such as a shape or offsets in a file should be. */
export function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((count) => Number.isSafeInteger(count) && count >= 0)
}

/** Requires a shape of positive integers. @throws ShapeError  if an axis is not one */
export function checkShape(where: string, shape: Shape): void {
  if (shape.some((axis) => !Number.isInteger(axis) || axis < 1)) {
    throw new ShapeError(where, 'a shape must consist of positive integers', { given: { shape: formatShape(shape) } })
  }
}

/** Returns the output size of a sliding window along one axis: ⌊(size + 2·padding − kernelSize) / stride⌋ + 1. Dumoulin & Visin 2016, arXiv:1603.07285. */
export function windowOutput(size: number, kernelSize: number, stride: number, padding: number): number {
  return Math.floor((size + 2 * padding - kernelSize) / stride) + 1
}
