import { objectWith } from '../base/options.ts'
import { rng, type Rng } from '../base/rng.ts'
import { elementCount, type Shape } from '../tensor/shape.ts'
import type { Initial } from './parameter.ts'

/**
 * The random beginnings of one model. Every weight draws from a stream of its own, numbered in the order in which the
 * layers are made, so the same seed builds the same model, whatever is made, loaded or left out in between.
 */
export class Init {
  private readonly seed: number
  private made = 0

  constructor(seed: number) {
    this.seed = seed
  }

  /** Weights for ReLU networks: see `kaimingNormal`. */
  kaimingNormal(shape: Shape): Initial {
    const index = this.made++
    return () => kaimingNormal(shape, rng(this.seed, 'init', index))
  }
}

export const INIT = objectWith('an Init, which draws the first weights', 'kaimingNormal')

/**
 * Weights that keep the variance of activations through ReLU.
 *
 *   w ~ N(0, 2 / fanIn),  fanIn = elements of one output row
 *
 * @param shape  [O, …]
 * Source: He et al. 2015, arXiv:1502.01852, eq. 10; torch.nn.init.kaiming_normal_ with its defaults (fan_in, a = 0).
 */
export function kaimingNormal(shape: Shape, random: Rng): Float32Array {
  const deviation = Math.sqrt(2 / elementCount(shape.slice(1)))
  return Float32Array.from({ length: elementCount(shape) }, () => random.normal(0, deviation))
}

/** The same number everywhere. */
export function filled(shape: Shape, value: number): Initial {
  return () => new Float32Array(elementCount(shape)).fill(value)
}
