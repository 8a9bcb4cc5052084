import { OptionError } from '../../base/errors.ts'
import { checkArgument, checkOptions, FUNCTION, listOf } from '../../base/options.ts'
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

const GROUPS = listOf({ expected: '{ lr, momentum }', is: (value) => value instanceof Object })

/**
 * Makes a callback that sets hyperparameters before every training batch as functions of the progress of the fit.
 *
 * @param groups  schedules of each parameter group, in their order: `[{ lr }]` for a model of one group; `learningRates` gives a
 *   highest rate for each
 * @throws OptionError  at the beginning of a fit, if the model has another number of groups
 * Source: fastai callback/schedule.py, ParamScheduler.
 */
export function scheduler(groups: readonly GroupSchedules[]): Callback {
  checkArgument('scheduler', 'groups', groups, GROUPS)
  for (const group of groups) checkOptions('scheduler', group, { lr: FUNCTION, momentum: FUNCTION })
  return {
    name: 'scheduler',
    options: groups.map(({ lr, momentum }) => ({ lr: sampled(lr), momentum: sampled(momentum) })),
    order: 60,
    runsOn: 'train',
    beforeFit({ optimizer }) {
      const count = optimizer?.groups.length
      if (count === undefined || count === groups.length) return
      throw new OptionError('scheduler', 'there must be schedules for every parameter group', {
        given: { schedules: groups.length, groups: count },
        fix: 'learningRates(range, groups) gives a rate for each',
      })
    },
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
