import { OptionError } from '../../base/errors.ts'
import { FLAG, type Kinds } from '../../base/options.ts'
import type { Hyperparameters } from '../../optim/optimizer.ts'
import type { FitState } from '../fit/state.ts'
import { fittingNames } from '../../nn/load-weights.ts'
import { checkStateDict } from '../../nn/state-dict.ts'
import { timmNames } from '../../nn/weight-names.ts'
import { NAMES } from '../../nn/weights.ts'
import { checkHyperparameters } from '../../optim/hyperparameters.ts'
import {
  about,
  HYPERS,
  readModelFile,
  requireEntries,
  sourceName,
  writeModelFile,
  type ModelSource,
} from './model-file.ts'

export { MODEL_SOURCE } from './model-file.ts'

/** Options of saving and loading weights. */
export interface SaveOptions {
  /** Include the state of the optimizer. Default true */
  readonly withOptimizer?: boolean
  /**
   * 'timm' writes the weights of an xresnet under the names of timm's `resnet18d … 152d`, which load them as they are, and
   * leaves out the optimizer. `load` reads either. Default 'own', which is fastai's
   */
  readonly names?: 'own' | 'timm'
}

/** Checks of the options of `Learner.save` and `Learner.load`. */
export const SAVE_KINDS: Kinds<SaveOptions> = { withOptimizer: FLAG, names: NAMES }

/** Writes weights, running statistics and the optimizer's state to a file, and returns its bytes. Source: fastai learner.py, save_model. */
export async function saveLearner(
  state: FitState,
  path: string | undefined,
  { names = 'own', withOptimizer = names === 'own' }: SaveOptions = {},
): Promise<Uint8Array> {
  const { model, optimizer, platform } = state
  if (names === 'timm' && withOptimizer) {
    throw new OptionError('save', 'what the optimizer remembers has no names in timm', {
      given: { names, withOptimizer },
      fix: "leave out withOptimizer, or write the file under the library's own names",
    })
  }
  const kept = withOptimizer ? optimizer : undefined
  const info = { kind: 'model', hypers: kept?.hyperparameters.map((hypers) => ({ ...hypers })) }
  const own = await model.stateDict()
  const weights = names === 'timm' ? timmNames(own) : own
  return writeModelFile(platform, path, { weights, optimizer: await kept?.state(), info })
}

/**
 * Loads a file that `saveLearner`, a checkpoint, an export, PyTorch or timm wrote. Hyperparameters are restored if the number
 * of parameter groups is the same; the next fit overrides them where it sets its own.
 *
 * @throws DataError  naming the file, if it does not fit the model; nothing is changed then
 * Source: fastai learner.py, load_model.
 */
export async function restoreLearner(
  state: FitState,
  source: ModelSource,
  { withOptimizer = true }: SaveOptions = {},
): Promise<void> {
  const { model, platform } = state
  const path = sourceName(source)
  const { weights: stored, optimizer: optimizerState, info } = await readModelFile(platform, source)
  const weights = fittingNames(model, stored)
  if (info.hypers !== undefined) requireEntries(path, info, { hypers: HYPERS })
  const hypers = withOptimizer ? (info.hypers as readonly Hyperparameters[] | undefined) : undefined
  about(path, () => {
    checkStateDict(model.states(), weights)
    if (!hypers) return
    for (const each of hypers) checkHyperparameters('hypers', each)
    const own = state.openOptimizer()
    own.loadState(optimizerState)
    if (hypers.length === own.groups.length) own.setHyperparameters(hypers)
  })
  model.loadStateDict(weights)
  if (!hypers) state.optimizer?.forgetWeights?.()
  if (withOptimizer && !hypers) platform.log(`${path} contains no optimizer state: the optimizer is unchanged`)
}
