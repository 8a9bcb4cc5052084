import type { BufferOwner, BufferView } from '../gpu/buffers.ts'
import { DeviceError, ShapeError } from '../base/errors.ts'
import { formatShape } from '../base/format.ts'
import type { Kind } from '../base/options.ts'
import { currentGpu } from '../gpu/device.ts'
import type { Dtype } from './dtype.ts'
import { elementCount, storedBytes, storedCount, type Shape, type Spec } from './shape.ts'

/**
 * Bytes of a tensor on the GPU. A storage belongs to the scope in which it was made, until `keep` removes it or it is
 * released; `holds` counts the tape nodes that will read it in backward.
 */
export interface Storage extends BufferOwner {
  readonly offset: number
  /** Storage that this one is a part of, which owns the buffer; undefined if it owns the buffer itself. */
  readonly part: Storage | undefined
  holds: number
  state: 'scoped' | 'kept' | 'released'
}

/** Gradient of a trainable tensor, shared by an f32 parameter and its f16 copy. */
export interface Leaf {
  trainable: boolean
  /** dL/d(parameter), f32, in the shape of the parameter; made on first use unless an optimizer has attached it. */
  gradient: Tensor | undefined
  /** True if `gradient` holds a value of this step. */
  hasGradient: boolean
}

/** Inputs of an operation; undefined for an optional one that was omitted. */
export type Inputs = readonly (Tensor | undefined)[]

/**
 * Function that makes the tensor for the gradient of an input, given by its number, in the type of the input unless
 * another is given. For a parameter in f32 this is the gradient of its `Leaf`, so that nothing is copied.
 */
export type Target = (input: number, dtype?: Dtype) => Tensor

/** One executed operation on the tape, with everything that backward needs. */
export interface TapeNode {
  readonly id: number
  readonly name: string
  readonly inputs: Inputs
  readonly output: Tensor
  readonly extras: readonly Tensor[]
  readonly needs: readonly boolean[]
  backward(dy: Tensor, target: Target): readonly (Tensor | undefined)[]
}

/** Check of a tensor. */
export const TENSOR: Kind = {
  expected: 'a tensor, such as tensor(data, shape)',
  is: (value) => value instanceof Tensor,
}

/** Check of what a function such as `forward` of a module returns. */
export const RESULT: Kind = {
  expected: 'a tensor',
  fix: 'return it synchronously, as steps are recorded',
  is: (value) => value instanceof Tensor,
}

/** Numbers on the GPU with a shape and a storage type, which never change; operations return new tensors. */
export class Tensor implements Spec {
  readonly shape: Shape
  readonly dtype: Dtype
  readonly storage: Storage
  /** Name in messages and profiles: the path of a parameter. */
  name: string | undefined
  leaf: Leaf | undefined
  node: TapeNode | undefined

  constructor(spec: Spec, storage: Storage) {
    this.shape = spec.shape
    this.dtype = spec.dtype
    this.storage = storage
  }

  /** True if gradients flow to or through this tensor. */
  get needsGrad(): boolean {
    return this.node !== undefined || this.leaf?.trainable === true
  }

  /** Part of a buffer that kernels bind. @throws ShapeError  if the tensor was released  @throws DeviceError  if it is on another GPU */
  get view(): BufferView {
    // The numbers of a part go with those of the whole.
    for (let storage: Storage | undefined = this.storage; storage; storage = storage.part) {
      if (storage.state !== 'released') continue
      throw new ShapeError(this.name ?? 'tensor', 'its numbers were released, by backward or at the end of a scope', {
        given: { tensor: formatShape(this) },
        fix: 'call keep(tensor) before that',
      })
    }
    // Each GPU numbers its buffers from 1, so a buffer of another GPU would be mistaken for one of this.
    const { pool } = this.storage.buffer
    if (pool !== currentGpu().buffers) {
      const { closed } = pool
      const where = closed ? 'a GPU that is closed' : 'another GPU than the one that operations run on'
      throw new DeviceError(this.name ?? 'tensor', `it is on ${where}`, {
        given: { tensor: formatShape(this) },
        fix: closed
          ? 'make it again, or load the model again'
          : 'call useGpu(gpu) with the GPU of the tensor, or read it there and upload it here',
      })
    }
    return { buffer: this.storage.buffer, offset: this.storage.offset, size: storedBytes(this) }
  }

  /**
   * Returns the same numbers in another shape, without a copy. The last axis must stay, or both must be multiples of 4.
   *
   * @throws ShapeError  if the elements or their padding do not fit
   */
  viewAs(shape: Shape): Tensor {
    const spec = { shape, dtype: this.dtype }
    const last = (of: Spec) => of.shape[of.shape.length - 1] ?? 1
    // Rows of another length have their padding at other offsets, unless neither shape has padding.
    const samePlaces =
      last(spec) === last(this) ||
      (storedCount(spec) === elementCount(shape) && storedCount(this) === elementCount(this.shape))
    if (elementCount(shape) !== elementCount(this.shape) || !samePlaces) {
      throw new ShapeError('reshape', 'the elements do not fit the new shape', {
        given: { from: formatShape(this), to: formatShape(spec) },
        expected: 'the same number of elements, and the same padding of the last axis',
      })
    }
    return new Tensor(spec, this.storage)
  }
}
