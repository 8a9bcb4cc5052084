import { formatShape } from '../../base/format.ts'
import type { Rng } from '../../base/rng.ts'
import { roundHalfToEven } from '../../image/box.ts'
import { empty, launch, storageDtype } from '../../tensor/launch.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Callback } from '../fit/callback.ts'
import { checkAlpha, mixing, type Mix, type MixShape, type MixTensors } from './mixing.ts'
import '../../gpu/wgsl/mixup/cut.ts'

/**
 * Makes the CutMix callback: in every training batch, one box of each image is replaced by the same box of another
 * image, and the loss weights the two labels by their visible area (see `mixing`).
 *
 *   w ~ Beta(alpha, alpha), one per batch; a box with √(1 − w) of both sides, centered anywhere and clipped at the
 *   border;
 *   weight = 1 − area of the box / area of the image
 *
 * @param alpha  parameter of the Beta distribution, above 0. Default 1
 * @throws OptionError  if alpha is out of range
 * Source: Yun et al. 2019, arXiv:1905.04899; fastai callback/mixup.py, CutMix.
 */
export function cutMix(alpha = 1): Callback {
  checkAlpha('cutMix', alpha)
  return mixing({
    name: 'cutMix',
    options: { alpha },
    draw: (random, batch) => drawCutMix(random, batch, alpha),
    apply: paste,
  })
}

/** Draws the partners, the box and the weight of one batch for CutMix. */
export function drawCutMix(random: Rng, { N, P, Q }: MixShape, alpha: number): Mix {
  const { box, weight } = cutBox(P, Q, random.beta(alpha, alpha), random.integer(0, Q - 1), random.integer(0, P - 1))
  return { partner: random.permutation(N), weight: new Float32Array(N).fill(weight), box: Uint32Array.from(box) }
}

/**
 * Computes the CutMix box in an image of P × Q pixels from a drawn weight and a center, and the weight that remains
 * after clipping.
 *
 * @param drawn  weight drawn from the Beta distribution, in [0,1]
 * @param x      column of the center, 0 … Q − 1
 * @param y      row of the center, 0 … P − 1
 * @returns the box as top, left, bottom, right with exclusive ends; and the weight, 1 − area of the box / (P·Q)
 */
export function cutBox(
  P: number,
  Q: number,
  drawn: number,
  x: number,
  y: number,
): { readonly box: readonly [number, number, number, number]; readonly weight: number } {
  const part = Math.sqrt(1 - drawn)
  const span = (middle: number, side: number) => {
    const half = Math.floor(roundHalfToEven(side * part) / 2)
    return [Math.max(middle - half, 0), Math.min(middle + half, side)] as const
  }
  const [left, right] = span(x, Q)
  const [top, bottom] = span(y, P)
  return { box: [top, left, bottom, right], weight: 1 - ((right - left) * (bottom - top)) / (P * Q) }
}

function paste(x: Tensor, { partner, box }: MixTensors): Tensor {
  const [N, P, Q] = x.shape
  const y = empty(x, 'cutMix')
  launch(
    'mixup/cut',
    { x, partner, box, y },
    {
      groups: [Math.ceil(Q / 8), Math.ceil(P / 8), N],
      shape: { P, Q },
      dtype: storageDtype(x),
      track: 'data',
      detail: formatShape(x.shape),
    },
  )
  return y
}
