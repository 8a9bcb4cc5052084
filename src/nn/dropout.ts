import { requireNumber } from '../base/check.ts'
import type { Rng } from '../base/rng.ts'
import { dropout, dropoutWords } from '../ops/dropout.ts'
import { elementCount, storedLastAxis, type Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { upload } from '../tensor/read-write.ts'
import { DrawnTensor, type DrawnLayer } from './drawn.ts'
import { Module } from './module.ts'
import { layerRow, type LayerRow } from './summary.ts'

/**
 * Leaves out a random part of the elements in training, and makes the others larger by 1 / (1 − p).
 *
 * x any shape, f16 | f32 → as x; in evaluation x itself. The mask is drawn on the CPU. A learner calls `draw` before every
 * training step, so that a step can be recorded and replayed; without it each forward pass draws from a stream of the layer.
 * Source: Srivastava et al. 2014, JMLR 15; torch.nn.Dropout.
 *
 * @throws OptionError  when p is out of range
 */
export class Dropout extends Module implements DrawnLayer {
  static override readonly replayable: boolean = true
  readonly p: number
  private readonly mask: DrawnTensor

  /** @param p  probability of leaving out an element, 0 ≤ p < 1 */
  constructor(p: number) {
    super()
    requireNumber('Dropout', 'p', p, { from: 0, below: 1 })
    this.p = p
    this.mask = new DrawnTensor(
      'dropout',
      (x) => [[dropoutWords(x)], 'u32'],
      (bits, random, shape) => fill(bits, random, shape, p),
    )
  }

  /** Draws the masks of the next step in training, for batches of N. They go to where a recorded step reads them. */
  draw(random: Rng, N: number): void {
    this.mask.draw(random, N)
  }

  forward(x: Tensor): Tensor {
    if (!this.training || this.p === 0) return x
    return dropout(x, this.mask.for(x), { p: this.p })
  }

  override describe(input: Shape): readonly LayerRow[] {
    return [layerRow(`dropout ${this.p}`, input, [])]
  }
}

/** Draws 32 bits for each element of an input, in their order. */
function fill(bits: Tensor, random: Rng, shape: Shape, p: number): void {
  const columns = shape[shape.length - 1]
  const row = storedLastAxis({ shape, dtype: 'f32' })
  const words = new Uint32Array(bits.shape[0])
  const threshold = p * 2 ** 32
  const rows = elementCount(shape) / columns
  for (let i = 0; i < rows; i++) {
    for (let at = i * row; at < i * row + columns; at++) {
      if (random.bits() >= threshold) words[at >>> 5] |= 1 << (at & 31)
    }
  }
  upload(bits, words)
}
