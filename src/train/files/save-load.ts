import { OptionError } from '../../base/errors.ts'
import type { Hyperparameters } from '../../optim/optimizer.ts'
import type { FitState } from '../fit/state.ts'
import { fittingNames } from '../../nn/load-weights.ts'
import { checkStateDict } from '../../nn/state-dict.ts'
import { timmNames } from '../../nn/weight-names.ts'
import { checkHyperparameters } from '../../optim/flat-optimizer.ts'
import { about, HYPERS, readModelFile, requireEntries, writeModelFile } from './model-file.ts'

export interface SaveOptions {
  /** Also what the optimizer remembers. Default true */
  readonly withOptimizer?: boolean
  /**
   * 'timm' writes the weights of an xresnet under the names of timm's `resnet18d … 152d`, which load them as they are, and
   * leaves out the optimizer. `load` reads either. Default 'own', which is fastai's
   */
  readonly names?: 'own' | 'timm'
}

/** Writes the weights, the running statistics and what the optimizer remembers. Source: fastai learner.py, save_model. */
export async function saveLearner(
  state: FitState,
  path: string,
  { names = 'own', withOptimizer = names === 'own' }: SaveOptions = {},
): Promise<void> {
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
  await writeModelFile(platform, path, { weights, optimizer: await kept?.state(), info })
}

/**
 * Takes over what `saveLearner`, a checkpoint, an export, PyTorch or timm has written. Whether hyper-parameters are of use is
 * for the next fit to say.
 *
 * @throws DataError  that names the file; nothing is changed then
 * Source: fastai learner.py, load_model.
 */
export async function restoreLearner(
  state: FitState,
  path: string,
  { withOptimizer = true }: SaveOptions = {},
): Promise<void> {
  const { model, platform } = state
  const { weights: stored, optimizer: optimizerState, info } = await readModelFile(platform, path)
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
  if (withOptimizer && !hypers) platform.log(`${path} holds no optimizer state: the optimizer stays as it is`)
}
