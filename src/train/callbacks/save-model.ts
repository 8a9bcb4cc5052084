import { OptionError } from '../../base/errors.ts'
import { checkOptions, FLAG, NUMBER, oneOf, PATH, type Kinds } from '../../base/options.ts'
import type { Callback } from '../fit/callback.ts'
import type { FitState } from '../fit/state.ts'
import { Tracker, TRACKER_KINDS, type TrackerOptions } from './tracker.ts'

export interface SaveModelOptions extends TrackerOptions {
  /** Default models/model.safetensors */
  readonly file?: string
  /** Save after every epoch, or every so many, as `<file>_<epoch>`, and not the best. Default false */
  readonly everyEpoch?: boolean | number
  /** Save at the end of the fit, and not the best. Default false */
  readonly atEnd?: boolean
  /** Default false */
  readonly withOptimizer?: boolean
}

const KINDS: Kinds<SaveModelOptions> = {
  ...TRACKER_KINDS,
  file: PATH,
  everyEpoch: oneOf(FLAG, NUMBER),
  atEnd: FLAG,
  withOptimizer: FLAG,
}

/**
 * Saves the model whenever a figure is the best so far, and at the end of the fit loads the best one again.
 *
 * @throws OptionError  when options contradict each other, and at the beginning of a fit whose table lacks the figure
 * Source: fastai callback/tracker.py, SaveModelCallback.
 */
export function saveModel(options: SaveModelOptions = {}): Callback {
  checkOptions('saveModel', options, KINDS)
  const { file = 'models/model.safetensors', everyEpoch = false, atEnd = false, withOptimizer = false } = options
  const every = Number(everyEpoch)
  if (!(Number.isInteger(every) && every >= 0) || (every > 0 && atEnd)) {
    throw new OptionError('saveModel', 'this is no plan for when to save', {
      given: { everyEpoch, atEnd },
      expected: 'every so many epochs, or at the end, or neither for the best',
    })
  }
  const tracker = new Tracker('saveModel', options)
  // A file of an earlier fit is not loaded for one of this.
  let saved = false
  const save = async (state: FitState, path: string) => {
    await state.save(path, { withOptimizer })
    saved = true
  }
  return {
    name: 'saveModel',
    options: { ...tracker.options, everyEpoch, atEnd },
    order: 61,
    duringLrFind: false,
    beforeFit(state) {
      saved = false
      tracker.begin(state)
    },
    async afterEpoch(state) {
      const { epoch, platform } = state
      if (every > 0) {
        if (epoch % every === 0) await save(state, numbered(file, epoch))
      } else if (tracker.improves(state)) {
        platform.log(`Better model found at epoch ${epoch} with ${tracker.monitor} value: ${tracker.best}.`)
        await save(state, file)
      }
    },
    async afterFit(state) {
      if (atEnd) await save(state, file)
      else if (every === 0 && saved) await state.load(file, { withOptimizer })
    },
    state: () => [tracker.best, saved],
    restore(before) {
      ;[tracker.best, saved] = before as [number, boolean]
    },
  }
}

/** models/model.safetensors → models/model_3.safetensors */
function numbered(file: string, epoch: number): string {
  return file.replace(/(\.[^./\\]*)?$/, (extension) => `_${epoch}${extension}`)
}
