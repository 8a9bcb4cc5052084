import { ShapeError } from '../base/errors.ts'
import { cast } from '../ops/cast.ts'
import { copy, elementwise, launch } from '../tensor/launch.ts'
import type { Dtype } from '../tensor/dtype.ts'
import { noGrad } from '../tensor/op.ts'
import { keep, release } from '../tensor/scope.ts'
import { checkShape, elementCount, type Shape } from '../tensor/shape.ts'
import type { Leaf, Tensor } from '../tensor/tensor.ts'
import { tensor, upload } from '../tensor/read-write.ts'
import '../gpu/wgsl/cast/to-f16.ts'

/** Function that returns initial values in row-major order; called once, when they are first needed. */
export type Initial = () => ArrayLike<number>

/**
 * Tensor that belongs to a model and is saved with it: a parameter or a running statistic. It is allocated on first
 * use, so that a model can be built, counted and described without a GPU.
 */
export class StateTensor {
  readonly shape: Shape
  private readonly ownName: string
  private location: string
  private readonly initial: Initial
  private tensor: Tensor | undefined

  /**
   * @param name     name within its module, such as 'weight'
   * @param initial  function that returns the first numbers, such as `filled(shape, 0)` or `() => numbers`
   */
  constructor(name: string, shape: Shape, initial: Initial) {
    checkShape(name, shape)
    this.ownName = name
    this.location = name
    this.shape = shape
    this.initial = initial
  }

  /** Path in the whole model, as in fastai: `5.0.convpath.0.0.weight`. */
  get path(): string {
    return this.location
  }

  /** Number of elements. */
  get count(): number {
    return elementCount(this.shape)
  }

  /** Tensor on the GPU, f32; allocated on first use. */
  get value(): Tensor {
    this.tensor ??= this.adopt(keep(tensor(this.counted(this.initial()), this.shape)))
    return this.tensor
  }

  /** Sets the path to a prefix, that of its module such as `layer1.`, and its own name. */
  putUnder(prefix: string): void {
    this.location = `${prefix}${this.ownName}`
    if (this.tensor) this.tensor.name = this.location
  }

  /** Replaces the values. @throws ShapeError  if their number differs */
  write(data: ArrayLike<number>): void {
    const numbers = this.counted(data)
    if (this.tensor) upload(this.tensor, numbers)
    else this.tensor = this.adopt(keep(tensor(numbers, this.shape)))
  }

  /** Moves the numbers to another tensor of the same shape; the tensor that held them is released. */
  moveTo(target: Tensor): void {
    if (this.tensor) {
      copy(this.tensor, target)
      release(this.tensor)
    } else {
      upload(target, this.counted(this.initial()))
    }
    this.tensor = this.adopt(target)
  }

  protected adopt(made: Tensor): Tensor {
    made.name = this.location
    return made
  }

  /** Returns numbers that are as many as there are elements. @throws ShapeError  that names the tensor, if they are not */
  private counted(data: ArrayLike<number>): ArrayLike<number> {
    if (data.length === this.count) return data
    throw new ShapeError(this.location, 'the number of values differs from the number of elements', {
      given: { shape: this.shape, numbers: data.length },
    })
  }
}

/**
 * Kind of a parameter. Weight decay applies to 'weight' only, neither to biases nor to the scale and shift of a
 * normalization. Those of a 'norm' are trained in frozen groups too.
 */
export type ParameterKind = 'weight' | 'bias' | 'norm'

/** Tensor that training updates. */
export class Parameter extends StateTensor {
  readonly kind: ParameterKind
  /** Gradient, and whether the parameter is trainable and has one. */
  readonly leaf: Leaf = { trainable: true, gradient: undefined, hasGradient: false }
  private copy: Tensor | undefined

  /** @param kind  'weight' for numbers that weight decay makes smaller */
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

  override putUnder(prefix: string): void {
    super.putUnder(prefix)
    if (this.copy) this.copy.name = this.path
  }
}
