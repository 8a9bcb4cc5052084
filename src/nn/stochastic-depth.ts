import { requireNumber } from '../base/check.ts'
import type { Rng } from '../base/rng.ts'
import { dropImages } from '../ops/drop-images.ts'
import { upload } from '../tensor/read-write.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { DrawnTensor, type DrawnLayer } from './drawn.ts'
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
  /** Factors of the images of a batch. */
  private readonly factors: DrawnTensor

  /** @param p  probability of leaving out an image, 0 ≤ p < 1 */
  constructor(p: number) {
    super()
    requireNumber('StochasticDepth', 'p', p, { from: 0, below: 1 })
    this.p = p
    const threshold = p * 2 ** 32
    // One draw of 32 bits for each image.
    const factor = (random: Rng) => (random.bits() >= threshold ? 1 / (1 - p) : 0)
    this.factors = new DrawnTensor(
      'stochastic depth',
      (x) => [[x.shape[0]], 'f32'],
      (factors, random, [N]) =>
        upload(
          factors,
          Array.from({ length: N }, () => factor(random)),
        ),
    )
  }

  /** Draws the images of the next step in training, for batches of N. They go to where a recorded step reads them. */
  draw(random: Rng, N: number): void {
    this.factors.draw(random, N)
  }

  forward(x: Tensor): Tensor {
    if (!this.training || this.p === 0) return x
    return dropImages(x, this.factors.for(x))
  }

  override describe(input: Shape): readonly LayerRow[] {
    return [layerRow(`stochastic depth ${Number(this.p.toPrecision(3))}`, input, [])]
  }
}
