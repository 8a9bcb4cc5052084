import { requireNumber } from '../../base/check.ts'
import { checkArgument, NUMBER } from '../../base/options.ts'
import { clipGradients } from '../../optim/clip.ts'
import type { Callback } from '../fit/callback.ts'
import { replayable } from '../fit/replayable.ts'

/**
 * Makes a callback that scales the gradients of every step down so that their joint norm over all parameters is at most
 * `maxNorm` (see optim/clip.ts).
 *
 * @param maxNorm  largest norm, above 0. Default 1
 * @throws OptionError  if maxNorm is out of range
 * Source: fastai callback/training.py, GradientClip.
 */
export function gradientClip(maxNorm = 1): Callback {
  checkArgument('gradientClip', 'maxNorm', maxNorm, NUMBER)
  requireNumber('gradientClip', 'maxNorm', maxNorm, { above: 0 })
  return replayable({
    name: 'gradientClip',
    options: { maxNorm },
    order: 11,
    runsOn: 'train',
    beforeStep({ optimizer, scaler }) {
      if (optimizer && scaler) clipGradients(optimizer, maxNorm, scaler)
    },
  })
}
