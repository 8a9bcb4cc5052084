import { rng, type Rng } from '../../base/rng.ts'

/** The split decides how a transform draws: at random for `train`, in the middle or not at all for `valid`. */
export type Split = 'train' | 'valid'

/** A batch of N pictures of one size. */
export interface BatchShape {
  readonly N: number
  readonly H: number
  readonly W: number
}

/** Whose parameter it is: of every item (default), or of the whole batch; and how likely it differs from neutral. */
export interface Mask {
  readonly p: number
  readonly neutral: number
  readonly batch: boolean
}

/** The stream that a batch is augmented from; `pass` tells apart the passes of test-time augmentation over one batch. */
export function augmentStream(seed: number, epoch: number, batchIndex: number, pass = 0): Rng {
  return rng(seed, 'augment', epoch, batchIndex, pass)
}

/** N values, each drawn and then, with probability 1 − p, put back to neutral. Source: fastai's _draw_mask. */
export function drawMasked(random: Rng, N: number, { p, neutral, batch }: Mask, draw: () => number): number[] {
  const one = () => {
    const value = draw()
    return random.bernoulli(p) ? value : neutral
  }
  return batch ? new Array<number>(N).fill(one()) : Array.from({ length: N }, one)
}
