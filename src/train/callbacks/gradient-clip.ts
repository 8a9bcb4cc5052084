import { requireNumber } from '../../base/check.ts'
import { checkArgument, NUMBER } from '../../base/options.ts'
import { clipGradients } from '../../optim/clip.ts'
import type { Callback } from '../fit/callback.ts'
import { replayable } from '../fit/replayable.ts'

/**
 * Shortens the gradients of every step to a largest norm, that of all of them together (see optim/clip.ts).
 *
 * @param maxNorm  Default 1
 * @throws OptionError  when it is not above 0
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
