import { OptionError } from '../../base/errors.ts'
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
  if (!(maxNorm > 0 && maxNorm < Infinity)) {
    throw new OptionError('gradientClip', 'maxNorm is out of range', { given: { maxNorm }, expected: 'above 0' })
  }
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
