import { rng, type Rng } from '../base/rng.ts'
import { isRecomputing } from '../tensor/recompute.ts'
import { keep } from '../tensor/scope.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { zeros } from '../tensor/read-write.ts'
import type { Dtype } from '../tensor/dtype.ts'
import type { Module } from './module.ts'

/** Layer with random numbers, which a learner draws before every training step, so that a step can be recorded and replayed. */
export interface DrawnLayer extends Module {
  /** Draws the numbers of the next forward pass in training, for batches of N. They go to where a recorded step reads them. */
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

/**
 * Random numbers of a layer, drawn on the CPU. Batches of one size always have theirs in the same tensor, from which a recorded
 * step reads them. A forward pass for which no numbers were drawn draws them itself, from a stream of the layer; a forward
 * pass that is recomputed for its gradients uses the numbers of the original one.
 */
export class DrawnTensor {
  private readonly stream: string
  private readonly spec: (x: Tensor) => readonly [shape: Shape, dtype: Dtype]
  private readonly fill: (numbers: Tensor, random: Rng, shape: Shape) => void
  /** Numbers for each size of the first axis of x. */
  private readonly known = new Map<number, Drawn>()
  private drawn: Rng | undefined
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

  /** Draws the numbers of the next forward pass in training, for batches of N. */
  draw(random: Rng, N: number): void {
    this.drawn = random
    const known = this.known.get(N)
    if (known) this.fill(known.numbers, random, known.shape)
  }

  /** Returns the numbers for an input. */
  for(x: Tensor): Tensor {
    const last = this.known.get(x.shape[0])
    const known = last?.shape.join() === x.shape.join() ? last : undefined
    const isReady = known !== undefined && (this.drawn !== undefined || isRecomputing())
    const { shape, numbers } = known ?? { shape: x.shape, numbers: keep(zeros(...this.spec(x))) }
    if (!isReady) {
      this.known.set(x.shape[0], { shape, numbers })
      this.fill(numbers, this.drawn ?? rng(0, this.stream, this.calls++), shape)
    }
    this.drawn = undefined
    return numbers
  }
}
