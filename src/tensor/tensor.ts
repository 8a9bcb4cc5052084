import type { BufferView, PoolBuffer } from '../gpu/buffers.ts'
import { DeviceError, ShapeError } from '../base/errors.ts'
import { formatShape } from '../base/format.ts'
import { currentGpu } from '../gpu/device.ts'
import type { Dtype } from './dtype.ts'
import { elementCount, storedBytes, storedCount, type Shape, type Spec } from './shape.ts'

/**
 * Bytes on the GPU and who still needs them. A storage belongs to the scope it was made in, until `keep` takes it out
 * or it is released; `holds` counts the tape nodes that will read it in backward.
 */
export interface Storage {
  readonly buffer: PoolBuffer
  readonly offset: number
  /** The storage that this is a part of, and that owns the buffer; `undefined` where it is its own. */
  readonly part: Storage | undefined
  holds: number
  state: 'scoped' | 'kept' | 'released'
}

/** Where the gradient of a trainable tensor goes. Shared by the f32 parameter and its f16 copy. */
export interface Leaf {
  trainable: boolean
  /** dL/d(parameter), f32, shaped as the parameter; made on first use unless the optimizer has placed it. */
  gradient: Tensor | undefined
  /** `gradient` holds a value of this step. */
  hasGradient: boolean
}

/** Tensors that an operation takes; `undefined` for one that was left out. */
export type Inputs = readonly (Tensor | undefined)[]

/**
 * Makes the tensor for the gradient of input number i, of the input's type unless another is asked for. f32 gradients
 * of a parameter land where the parameter keeps its gradient, so nothing is copied.
 */
export type Target = (input: number, dtype?: Dtype) => Tensor

/** One executed operation, as backward walks it. */
export interface TapeNode {
  readonly id: number
  readonly name: string
  readonly inputs: Inputs
  readonly output: Tensor
  readonly extras: readonly Tensor[]
  readonly needs: readonly boolean[]
  backward(dy: Tensor, target: Target): readonly (Tensor | undefined)[]
}

/** A block of numbers on the GPU. Shape and type never change; operations make new tensors. */
export class Tensor implements Spec {
  readonly shape: Shape
  readonly dtype: Dtype
  readonly storage: Storage
  /** For messages and profiles: a parameter's path. */
  name: string | undefined
  leaf: Leaf | undefined
  node: TapeNode | undefined

  constructor(spec: Spec, storage: Storage) {
    this.shape = spec.shape
    this.dtype = spec.dtype
    this.storage = storage
  }

  /** Gradients flow to it or through it. */
  get needsGrad(): boolean {
    return this.node !== undefined || this.leaf?.trainable === true
  }

  /** What kernels bind. @throws ShapeError when the numbers were given back already, DeviceError when they lie on another GPU. */
  get view(): BufferView {
    if (this.storage.state === 'released') {
      throw new ShapeError(this.name ?? 'tensor', 'its numbers were given back, by backward or at the end of a scope', {
        given: { tensor: formatShape(this) },
        fix: 'call keep(tensor) before that',
      })
    }
    // Each GPU counts its buffers from 1, so that of another one would be taken for one of this.
    if (this.storage.buffer.pool !== currentGpu().buffers) {
      throw new DeviceError(this.name ?? 'tensor', 'it lies on another GPU than the one that operations run on', {
        given: { tensor: formatShape(this) },
        fix: 'call useGpu(gpu) with the GPU that it was made on, or read it there and make it anew here',
      })
    }
    return { buffer: this.storage.buffer, offset: this.storage.offset, size: storedBytes(this) }
  }

  /** The same numbers under another shape with the same last axis (or the same number of elements, both multiples of 4). */
  viewAs(shape: Shape): Tensor {
    const spec = { shape, dtype: this.dtype }
    const last = (of: Spec) => of.shape[of.shape.length - 1] ?? 1
    // Rows of another length have their padding elsewhere, unless neither has any.
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
