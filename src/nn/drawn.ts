import { rng, type Rng } from '../base/rng.ts'
import { drawnOnce } from '../tensor/recompute.ts'
import { keep } from '../tensor/scope.ts'
import { sameShape, type Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { zeros } from '../tensor/read-write.ts'
import type { Dtype } from '../tensor/dtype.ts'
import type { Module } from './module.ts'

/** Layer with random numbers, which a learner draws before every training step, so that a step can be recorded and replayed. */
export interface DrawnLayer extends Module {
  /** Draws the numbers of the next step in training, for batches of N. They go to where a recorded step reads them. */
  draw(random: Rng, N: number): void
}

/** Returns true for a layer with random numbers: one that has `draw`. */
export function drawsNumbers(module: Module): module is DrawnLayer {
  return 'draw' in module && typeof module.draw === 'function'
}

/** Tensor of random numbers for inputs of one shape. */
interface Drawn {
  readonly shape: Shape
  readonly numbers: Tensor
}

/** Numbers of the passes of one step, in their order, and how many of them have been used. */
interface Passes {
  readonly drawn: Drawn[]
  used: number
}

/**
 * Random numbers of a layer, drawn on the CPU. Batches of one size always have theirs in the same tensors, from which a recorded
 * step reads them: one for each pass of the layer within a step, since the backward pass needs them again. A forward pass for
 * which no numbers were drawn draws them itself, from a stream of the layer; a forward pass that is recomputed for its
 * gradients uses the numbers of the original one.
 */
export class DrawnTensor {
  private readonly stream: string
  private readonly spec: (x: Tensor) => readonly [shape: Shape, dtype: Dtype]
  private readonly fill: (numbers: Tensor, random: Rng, shape: Shape) => void
  /** Numbers for each size of the first axis of x. */
  private readonly known = new Map<number, Passes>()
  /** Stream of the step whose numbers were drawn last. */
  private told: Rng | undefined
  private calls = 0

  /**
   * @param stream  name of the layer's stream
   * @param spec    shape and type of the numbers for an input
   * @param fill    writes the numbers for inputs of a shape
   */
  constructor(
    stream: string,
    spec: (x: Tensor) => readonly [shape: Shape, dtype: Dtype],
    fill: (numbers: Tensor, random: Rng, shape: Shape) => void,
  ) {
    this.stream = stream
    this.spec = spec
    this.fill = fill
  }

  /** Draws the numbers of the next step in training, for batches of N. */
  draw(random: Rng, N: number): void {
    this.told = random
    const passes = this.passesOf(N)
    passes.used = 0
    for (const { shape, numbers } of passes.drawn) this.fill(numbers, random, shape)
  }

  /** Returns the numbers for an input. */
  for(x: Tensor): Tensor {
    return drawnOnce(() => this.next(x))
  }

  private next(x: Tensor): Tensor {
    const passes = this.passesOf(x.shape[0])
    const before = passes.drawn[passes.used - 1]
    // The pass before awaits no gradients, so that its numbers may be drawn anew.
    const isOver = before !== undefined && before.numbers.storage.holds === 0
    const { told } = this
    if (isOver || told === undefined) {
      // Nothing tells where a step ends, so numbers that await gradients are left to the tape.
      if (!isOver) passes.drawn.splice(0, passes.used)
      passes.used = 0
    }
    const place = passes.used++
    const known = passes.drawn[place]
    const fits = known !== undefined && sameShape(known.shape, x.shape)
    const { shape, numbers } = fits ? known : { shape: x.shape, numbers: keep(zeros(...this.spec(x))) }
    passes.drawn[place] = { shape, numbers }
    if (isOver || told === undefined) this.fill(numbers, rng(0, this.stream, this.calls++), shape)
    else if (!fits) this.fill(numbers, told, shape)
    return numbers
  }

  private passesOf(N: number): Passes {
    const known = this.known.get(N) ?? { drawn: [], used: 0 }
    this.known.set(N, known)
    return known
  }
}
