import { requireNumber } from '../base/check.ts'
import { rng, type Rng } from '../base/rng.ts'
import { dropout, dropoutWords } from '../ops/dropout.ts'
import { isRecomputing } from '../tensor/recompute.ts'
import { keep } from '../tensor/scope.ts'
import { elementCount, storedLastAxis, type Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { upload, zeros } from '../tensor/read-write.ts'
import type { DrawnLayer } from './drawn.ts'
import { Module } from './module.ts'
import { layerRow, type LayerRow } from './summary.ts'

/** Mask of the batches of one size, always in the same tensor. */
interface Mask {
  readonly shape: Shape
  readonly bits: Tensor
}

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
  /** Mask for each size of the first axis of x. */
  private readonly masks = new Map<number, Mask>()
  private drawn: Rng | undefined
  private calls = 0

  /** @param p  probability of leaving out an element, 0 ≤ p < 1 */
  constructor(p: number) {
    super()
    requireNumber('Dropout', 'p', p, { from: 0, below: 1 })
    this.p = p
  }

  /** Draws the mask of the next forward pass in training, for batches of N. It goes to where a recorded step reads it. */
  draw(random: Rng, N: number): void {
    this.drawn = random
    const mask = this.masks.get(N)
    if (mask) this.fill(mask, random)
  }

  forward(x: Tensor): Tensor {
    if (!this.training || this.p === 0) return x
    return dropout(x, this.maskFor(x), { p: this.p })
  }

  override describe(input: Shape): readonly LayerRow[] {
    return [layerRow(`dropout ${this.p}`, input, [])]
  }

  private maskFor(x: Tensor): Tensor {
    const known = this.masks.get(x.shape[0])
    const fits = known?.shape.join() === x.shape.join()
    // A forward pass that is done again leaves out the same.
    if (known && fits && (this.drawn || isRecomputing())) {
      this.drawn = undefined
      return known.bits
    }
    const mask = known && fits ? known : { shape: x.shape, bits: keep(zeros([dropoutWords(x)], 'u32')) }
    this.masks.set(x.shape[0], mask)
    this.fill(mask, this.drawn ?? rng(0, 'dropout', this.calls++))
    this.drawn = undefined
    return mask.bits
  }

  /** One draw of 32 bits for each element, in their order. */
  private fill({ shape, bits }: Mask, random: Rng): void {
    const columns = shape[shape.length - 1]
    const row = storedLastAxis({ shape, dtype: 'f32' })
    const words = new Uint32Array(bits.shape[0])
    const threshold = this.p * 2 ** 32
    const rows = elementCount(shape) / columns
    for (let i = 0; i < rows; i++) {
      for (let at = i * row; at < i * row + columns; at++) {
        if (random.bits() >= threshold) words[at >>> 5] |= 1 << (at & 31)
      }
    }
    upload(bits, words)
  }
}
