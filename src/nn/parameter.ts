import { ShapeError } from '../base/errors.ts'
import { cast } from '../ops/cast.ts'
import { copy, elementwise, launch } from '../tensor/launcher.ts'
import type { Dtype } from '../tensor/dtype.ts'
import { noGrad } from '../tensor/op.ts'
import { keep, release } from '../tensor/scope.ts'
import { elementCount, type Shape } from '../tensor/shape.ts'
import type { Leaf, Tensor } from '../tensor/tensor.ts'
import { tensor, upload } from '../tensor/transfer.ts'

/** The numbers something starts with, row by row; asked for once, when they are needed. */
export type Initial = () => ArrayLike<number>

/**
 * Numbers that belong to a model and are saved with it: a parameter, or a running statistic. They are made on first
 * use, so that a model can be built, counted and described without a GPU.
 */
export class StateTensor {
  readonly shape: Shape
  private location: string
  private readonly initial: Initial
  private tensor: Tensor | undefined

  constructor(name: string, shape: Shape, initial: Initial) {
    this.location = name
    this.shape = shape
    this.initial = initial
  }

  /** Its name in the whole model, which is fastai's: `5.0.convpath.0.0.weight`. */
  get path(): string {
    return this.location
  }

  /** How many numbers it has. */
  get count(): number {
    return elementCount(this.shape)
  }

  /** The numbers on the GPU, f32. */
  get value(): Tensor {
    this.tensor ??= this.adopt(keep(tensor(this.initial(), this.shape)))
    return this.tensor
  }

  /** Called by the module that takes it in, innermost first, each putting its name for what is below in front. */
  putUnder(name: string): void {
    this.location = `${name}.${this.location}`
    if (this.tensor) this.tensor.name = this.location
  }

  /** Replaces the numbers. @throws ShapeError when their count differs */
  write(data: ArrayLike<number>): void {
    if (data.length !== this.count) {
      throw new ShapeError(this.location, 'as many numbers as elements are needed', {
        given: { shape: this.shape, numbers: data.length },
      })
    }
    if (this.tensor) upload(this.tensor, data)
    else this.tensor = this.adopt(keep(tensor(data, this.shape)))
  }

  /** Moves the numbers to another tensor of the same shape; the tensor that held them is released. */
  moveTo(target: Tensor): void {
    if (this.tensor) {
      copy(this.tensor, target)
      release(this.tensor)
    } else {
      upload(target, this.initial())
    }
    this.tensor = this.adopt(target)
  }

  protected adopt(made: Tensor): Tensor {
    made.name = this.location
    return made
  }
}

/** Weight decay is for weights only: not for biases, nor for the scale and shift of a normalisation. */
export type ParameterKind = 'weight' | 'bias' | 'norm'

/** Numbers that training changes. */
export class Parameter extends StateTensor {
  readonly kind: ParameterKind
  /** Where the gradient goes, and whether there is one. */
  readonly leaf: Leaf = { trainable: true, gradient: undefined, hasGradient: false }
  private copy: Tensor | undefined

  constructor(name: string, shape: Shape, kind: ParameterKind, initial: Initial) {
    super(name, shape, initial)
    this.kind = kind
  }

  /** Copy of the numbers in f16 that an optimizer keeps up to date; without one, `as` rounds the numbers at each use. */
  get f16Copy(): Tensor | undefined {
    return this.copy
  }
  set f16Copy(copy: Tensor | undefined) {
    this.copy = copy && this.adopt(copy)
  }

  /**
   * Numbers in the storage type in which a layer computes, which is that of its input. Both types share one f32 gradient.
   *
   * @param dtype  'f16' for the rounded copy, anything else for the f32 numbers
   */
  as(dtype: Dtype): Tensor {
    if (dtype !== 'f16') return this.value
    return this.copy ?? this.adopt(noGrad(() => cast(this.value, 'f16')))
  }

  override write(data: ArrayLike<number>): void {
    super.write(data)
    if (this.copy) launch('cast/to-f16', { x: this.value, y: this.copy }, { ...elementwise(this.value), dtype: 'f16' })
  }

  override moveTo(target: Tensor): void {
    super.moveTo(target)
    this.copy = undefined
  }

  protected override adopt(made: Tensor): Tensor {
    made.leaf = this.leaf
    return super.adopt(made)
  }

  override putUnder(name: string): void {
    super.putUnder(name)
    if (this.copy) this.copy.name = this.path
  }
}
