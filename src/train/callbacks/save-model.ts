import { OptionError } from '../../base/errors.ts'
import { checkOptions, FLAG, NUMBER, oneOf, PATH, type Kinds } from '../../base/options.ts'
import type { Callback } from '../fit/callback.ts'
import type { FitState } from '../fit/state.ts'
import { tryToWrite } from '../fit/try-to-write.ts'
import { Tracker, TRACKER_KINDS, type TrackerOptions } from './tracker.ts'

/** Options of `saveModel`. */
export interface SaveModelOptions extends TrackerOptions {
  /** Path of the file to write. Default models/model.safetensors */
  readonly file?: string
  /**
   * Save after every epoch (true) or every so many epochs (a number), as `<file>_<epoch>`, instead of the best. Default
   * false
   */
  readonly everyEpoch?: boolean | number
  /** Save at the end of the fit instead of the best. Default false */
  readonly atEnd?: boolean
  /** Include the state of the optimizer. Default false */
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
 * Makes a callback that saves the model whenever a monitored figure improves, and loads the best model again at the end
 * of the fit. A model that cannot be saved after its epoch, as on a disk that is full, is told and does not count as the
 * best; the fit goes on.
 *
 * @throws OptionError  if options contradict each other; at the beginning of a fit, if the table of epochs has no such
 *   figure
 * @throws DataError  at the beginning of a fit, if the file cannot be written, and at its end with `atEnd`
 * Source: fastai callback/tracker.py, SaveModelCallback.
 */
export function saveModel(options: SaveModelOptions = {}): Callback {
  checkOptions('saveModel', options, KINDS)
  const { file = 'models/model.safetensors', everyEpoch = false, atEnd = false, withOptimizer = false } = options
  const every = Number(everyEpoch)
  if (!(Number.isInteger(every) && every >= 0) || (every > 0 && atEnd)) {
    throw new OptionError('saveModel', 'everyEpoch and atEnd contradict each other or are out of range', {
      given: { everyEpoch, atEnd },
      expected: 'everyEpoch as a boolean or a non-negative integer, or atEnd, or neither for the best',
    })
  }
  const unused = Object.keys(TRACKER_KINDS).filter((name) => options[name as keyof TrackerOptions] !== undefined)
  if (every > 0 && unused.length > 0) {
    throw new OptionError('saveModel', `${unused.join(' and ')} would choose the best, and everyEpoch saves all`, {
      fix: 'leave one of them out, or save the best by another saveModel',
    })
  }
  const tracker = new Tracker('saveModel', options)
  // True once this fit has saved: the file of an earlier fit is never loaded.
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
    async beforeFit(state) {
      saved = false
      tracker.begin(state)
      // Epochs later the run would be lost.
      await state.platform.files.requireWritable?.(every > 0 ? numbered(file, 0) : file)
    },
    async afterEpoch(state) {
      const { epoch, platform } = state
      if (every > 0) {
        if (epoch % every === 0) await tryToWrite(platform, 'model', () => save(state, numbered(file, epoch)))
        return
      }
      const { best } = tracker
      if (!tracker.improves(state)) return
      platform.log(`Better model found at epoch ${epoch} with ${tracker.monitor} value: ${tracker.best}.`)
      if (!(await tryToWrite(platform, 'model', () => save(state, file)))) tracker.best = best
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

/** Inserts the number of an epoch before the extension: models/model.safetensors → models/model_3.safetensors */
function numbered(file: string, epoch: number): string {
  return file.replace(/(\.[^./\\]*)?$/, (extension) => `_${epoch}${extension}`)
}
