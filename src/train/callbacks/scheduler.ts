import type { Schedule } from '../../optim/schedule.ts'
import type { Callback } from '../fit/callback.ts'

/** How the hyper-parameters of one parameter group go over a fit; what is left out stays. */
export interface GroupSchedules {
  readonly lr?: Schedule
  readonly momentum?: Schedule
}

/** Positions at which two schedules are compared; odd in number, so that no phase is as long as their distance. */
const SAMPLES = 33

/**
 * Sets hyper-parameters before every training batch, as functions of the progress of the fit.
 *
 * @param groups  schedules of every parameter group
 * Source: fastai callback/schedule.py, ParamScheduler.
 */
export function scheduler(groups: readonly GroupSchedules[]): Callback {
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

/** A schedule as numbers, of six digits: another version of the engine may round its cosines otherwise. */
function sampled(schedule: Schedule | undefined): readonly number[] | undefined {
  return schedule && Array.from({ length: SAMPLES }, (_, i) => Number(schedule(i / SAMPLES).toPrecision(6)))
}
