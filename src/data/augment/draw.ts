import { rng, type Rng } from '../../base/rng.ts'

/** Phase of training; it decides how a transform draws: at random for 'train', centered or not at all for 'valid'. */
export type Phase = 'train' | 'valid'

/** Shape of a batch of N images of H × W pixels. */
export interface BatchShape {
  readonly N: number
  readonly H: number
  readonly W: number
}

/** Rules for drawing one parameter of a transform. */
export interface Mask {
  /** Probability that the parameter differs from neutral. */
  readonly p: number
  /** Value that means no change. */
  readonly neutral: number
  /** True for one value for the whole batch, false for one per item. */
  readonly batch: boolean
}

/** Returns the random stream for augmenting a batch; `pass` distinguishes the passes of test-time augmentation. */
export function augmentStream(seed: number, epoch: number, batchIndex: number, pass = 0): Rng {
  return rng(seed, 'augment', epoch, batchIndex, pass)
}

/** Draws N values, each of which is set to neutral with probability 1 − p. Source: fastai's _draw_mask. */
export function drawMasked(random: Rng, N: number, { p, neutral, batch }: Mask, draw: () => number): number[] {
  const one = () => {
    const value = draw()
    return random.bernoulli(p) ? value : neutral
  }
  return batch ? new Array<number>(N).fill(one()) : Array.from({ length: N }, one)
}
