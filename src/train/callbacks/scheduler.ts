import { checkOptions, FUNCTION } from '../../base/options.ts'
import type { Schedule } from '../../optim/schedule.ts'
import type { Callback } from '../fit/callback.ts'

/** Schedules of the hyperparameters of one parameter group over a fit; those left out stay constant. */
export interface GroupSchedules {
  readonly lr?: Schedule
  readonly momentum?: Schedule
}

/**
 * Number of positions at which two schedules are compared; odd, so that no phase of a schedule is as long as their
 * distance.
 */
const SAMPLES = 33

/**
 * Makes a callback that sets hyperparameters before every training batch as functions of the progress of the fit.
 *
 * @param groups  schedules of each parameter group
 * Source: fastai callback/schedule.py, ParamScheduler.
 */
export function scheduler(groups: readonly GroupSchedules[]): Callback {
  for (const group of groups) checkOptions('scheduler', group, { lr: FUNCTION, momentum: FUNCTION })
  return {
    name: 'scheduler',
    options: groups.map(({ lr, momentum }) => ({ lr: sampled(lr), momentum: sampled(momentum) })),
    order: 60,
    runsOn: 'train',
    prepareBatch({ progress, optimizer }) {
      optimizer?.setHyperparameters(
        groups.map(({ lr, momentum }) => ({
          ...(lr ? { lr: lr(progress) } : {}),
          ...(momentum ? { momentum: momentum(progress) } : {}),
        })),
      )
    },
  }
}

/** Samples a schedule with six significant digits, because JavaScript engines may round cosines differently. */
function sampled(schedule: Schedule | undefined): readonly number[] | undefined {
  return schedule && Array.from({ length: SAMPLES }, (_, i) => Number(schedule(i / SAMPLES).toPrecision(6)))
}
