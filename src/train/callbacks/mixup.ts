import { formatShape } from '../../base/format.ts'
import type { Rng } from '../../base/rng.ts'
import { empty, launch, storageDtype } from '../../tensor/launch.ts'
import { vectorCount } from '../../tensor/shape.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Callback } from '../fit/callback.ts'
import { checkAlpha, mixing, type Mix, type MixTensors } from './mixing.ts'
import '../../gpu/wgsl/mixup/lerp.ts'

/**
 * Makes the mixup callback: every image of a training batch is blended with another one, and so are their losses (see
 * `mixing`).
 *
 *   x[n] ← x[partner] + weight·(x[n] − x[partner]),  weight = max(w, 1 − w),  w ~ Beta(alpha, alpha), one per image
 *
 * @param alpha  parameter of the Beta distribution, above 0; larger values blend more. Default 0.4
 * @throws OptionError  if alpha is out of range
 * Source: Zhang et al. 2018, arXiv:1710.09412; fastai callback/mixup.py, MixUp.
 */
export function mixUp(alpha = 0.4): Callback {
  checkAlpha('mixUp', alpha)
  return mixing({
    name: 'mixUp',
    options: { alpha },
    draw: (random, { N }) => drawMixUp(random, N, alpha),
    apply: blend,
  })
}

/** Draws the partners and weights of a batch of N images for mixup. */
export function drawMixUp(random: Rng, N: number, alpha: number): Mix {
  const weight = Float32Array.from({ length: N }, () => {
    const w = random.beta(alpha, alpha)
    return Math.max(w, 1 - w)
  })
  return { partner: random.permutation(N), weight }
}

function blend(x: Tensor, { partner, weight }: MixTensors): Tensor {
  const [N] = x.shape
  const y = empty(x, 'mixUp')
  const vectors = vectorCount(x) / N
  launch(
    'mixup/lerp',
    { x, partner, weight, y },
    {
      groups: [Math.ceil(vectors / 64), N, 1],
      shape: { VECTORS: vectors },
      dtype: storageDtype(x),
      track: 'data',
      detail: formatShape(x.shape),
    },
  )
  return y
}
