import { requireNumber } from '../base/check.ts'
import { rng, type Rng } from '../base/rng.ts'
import { dropImages } from '../ops/drop-images.ts'
import { isRecomputing } from '../tensor/recompute.ts'
import { upload, zeros } from '../tensor/read-write.ts'
import { keep } from '../tensor/scope.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { DrawnLayer } from './drawn.ts'
import { Module } from './module.ts'
import { layerRow, type LayerRow } from './summary.ts'

/**
 * Leaves out a random part of the images of a batch in training, at the end of a residual path, so that the path is skipped;
 * the others are made larger by 1 / (1 − p).
 *
 * x [N,…,C] f16 | f32 → as x; in evaluation x itself. The images are drawn on the CPU. A learner calls `draw` before every
 * training step, so that a step can be recorded and replayed; without it each forward pass draws from a stream of the layer.
 * Source: Huang et al. 2016, arXiv:1603.09382; torchvision.ops.StochasticDepth with mode 'row', timm's DropPath.
 *
 * @throws OptionError  when p is out of range
 */
export class StochasticDepth extends Module implements DrawnLayer {
  static override readonly replayable: boolean = true
  readonly p: number
  /** Factors of the images of a batch, by its size, always in the same tensor. */
  private readonly factors = new Map<number, Tensor>()
  private drawn: Rng | undefined
  private calls = 0

  /** @param p  probability of leaving out an image, 0 ≤ p < 1 */
  constructor(p: number) {
    super()
    requireNumber('StochasticDepth', 'p', p, { from: 0, below: 1 })
    this.p = p
  }

  /** Draws the images of the next forward pass in training, for batches of N. They go to where a recorded step reads them. */
  draw(random: Rng, N: number): void {
    this.drawn = random
    const factors = this.factors.get(N)
    if (factors) this.fill(factors, random)
  }

  forward(x: Tensor): Tensor {
    if (!this.training || this.p === 0) return x
    return dropImages(x, this.factorsFor(x.shape[0]))
  }

  override describe(input: Shape): readonly LayerRow[] {
    return [layerRow(`stochastic depth ${Number(this.p.toPrecision(3))}`, input, [])]
  }

  private factorsFor(N: number): Tensor {
    const known = this.factors.get(N)
    // A forward pass that is done again leaves out the same.
    if (known && (this.drawn || isRecomputing())) {
      this.drawn = undefined
      return known
    }
    const factors = known ?? keep(zeros([N]))
    this.factors.set(N, factors)
    this.fill(factors, this.drawn ?? rng(0, 'stochastic depth', this.calls++))
    this.drawn = undefined
    return factors
  }

  /** One draw of 32 bits for each image. */
  private fill(factors: Tensor, random: Rng): void {
    const threshold = this.p * 2 ** 32
    const numbers = Array.from({ length: factors.shape[0] }, () => (random.bits() >= threshold ? 1 / (1 - this.p) : 0))
    upload(factors, numbers)
  }
}
