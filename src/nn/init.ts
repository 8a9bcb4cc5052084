import { objectWith } from '../base/options.ts'
import { rng, type Rng } from '../base/rng.ts'
import { elementCount, type Shape } from '../tensor/shape.ts'
import type { Initial } from './parameter.ts'

/** Side of a layer whose variance initial weights keep: that of activations ('in'), or that of gradients ('out'). */
export type Fan = 'in' | 'out'

/**
 * Random initial weights of one model. Each weight draws from a random stream of its own, numbered in the order in
 * which the layers are made, so that a seed determines the model regardless of what is loaded or skipped in between.
 */
export class Init {
  private readonly seed: number
  private made = 0

  constructor(seed: number) {
    this.seed = seed
  }

  /** Returns the initializer of a weight for ReLU networks: see `kaimingNormal`. */
  kaimingNormal(shape: Shape, fan: Fan = 'in'): Initial {
    const index = this.made++
    return () => kaimingNormal(shape, rng(this.seed, 'init', index), fan)
  }

  /** Numbers spread evenly over [−bound, bound). */
  uniform(shape: Shape, bound: number): Initial {
    const index = this.made++
    return () => rng(this.seed, 'init', index).uniforms(elementCount(shape), -bound, bound)
  }

  /** Numbers drawn from N(0, deviation²). */
  normal(shape: Shape, deviation: number): Initial {
    const index = this.made++
    return () => rng(this.seed, 'init', index).normals(elementCount(shape), 0, deviation)
  }
}

/** Deviation of the initial weights of ConvNeXt and of transformers. Source: torchvision models/convnext.py, ConvNeXt.__init__. */
export const NORMAL_START = 0.02

/** Check of an option that must be an `Init`. */
export const INIT = objectWith('an Init, which draws the initial weights: new Init(seed)', 'kaimingNormal')

/**
 * Draws initial weights that preserve the variance of activations (or of gradients, with `fan` 'out') through ReLU.
 *
 *   w ~ N(0, 2 / fan),  fan in = elements of one output row,  fan out = elements of one input channel
 *
 * @param shape  [O, …, C]
 * Source: He et al. 2015, arXiv:1502.01852, eq. 10 and 14; torch.nn.init.kaiming_normal_ with a = 0.
 */
export function kaimingNormal(shape: Shape, random: Rng, fan: Fan = 'in'): Float32Array {
  const deviation = Math.sqrt(2 / elementCount(fan === 'in' ? shape.slice(1) : shape.slice(0, -1)))
  return random.normals(elementCount(shape), 0, deviation)
}

/** Returns an initializer that sets every element to one value. */
export function filled(shape: Shape, value: number): Initial {
  return () => new Float32Array(elementCount(shape)).fill(value)
}
