import type { Hyperparameters } from '../../optim/optimizer.ts'
import type { FitState } from '../fit/state.ts'
import { checkStateDict } from '../../nn/state-dict.ts'
import { checkHyperparameters } from '../../optim/flat-optimizer.ts'
import { about, HYPERS, readModelFile, requireEntries, writeModelFile } from './model-file.ts'

export interface SaveOptions {
  /** Also what the optimizer remembers. Default true */
  readonly withOptimizer?: boolean
}

/** Writes the weights, the running statistics and what the optimizer remembers. Source: fastai learner.py, save_model. */
export async function saveLearner(
  state: FitState,
  path: string,
  { withOptimizer = true }: SaveOptions = {},
): Promise<void> {
  const { model, optimizer, platform } = state
  const kept = withOptimizer ? optimizer : undefined
  const info = { kind: 'model', hypers: kept?.hyperparameters.map((hypers) => ({ ...hypers })) }
  await writeModelFile(platform, path, { weights: await model.stateDict(), optimizer: await kept?.state(), info })
}

/**
 * Takes over what `saveLearner`, a checkpoint, an export or PyTorch has written. Whether hyper-parameters are of use is
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
  const { weights, optimizer: optimizerState, info } = await readModelFile(platform, path)
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
