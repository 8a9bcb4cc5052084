import type { Schedule } from '../../optim/schedule.ts'
import type { Callback } from '../callback.ts'

/** How the hyper-parameters of one parameter group go over a fit; what is left out stays. */
export interface GroupSchedules {
  readonly lr?: Schedule
  readonly momentum?: Schedule
}

/**
 * Sets hyper-parameters before every training batch, as functions of the progress of the fit.
 *
 * @param groups  schedules of every parameter group
 * Source: fastai callback/schedule.py, ParamScheduler.
 */
export function scheduler(groups: readonly GroupSchedules[]): Callback {
  return {
    name: 'scheduler',
    order: 60,
    runsOn: 'train',
    prepareBatch({ progress, optimizer }) {
      optimizer?.setHypers(
        groups.map(({ lr, momentum }) => ({
          ...(lr ? { lr: lr(progress) } : {}),
          ...(momentum ? { momentum: momentum(progress) } : {}),
        })),
      )
    },
  }
}
