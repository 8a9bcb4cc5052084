import { objectWith, type Kind } from '../../base/options.ts'

/** Check of an option that must be the loaders of a data set. */
export const LOADERS: Kind = {
  expected: 'loaders, such as `await block.loaders(path)`',
  is: (value) => value instanceof Object && 'train' in value && 'valid' in value && 'vocab' in value,
}
/** Check of an option that must be a loader. */
export const LOADER: Kind = objectWith('a loader, such as loaders.valid', 'batches', 'order')
/** Check of an option that must be a model. */
export const MODULE: Kind = objectWith('a model, such as xresnet18()', 'forward', 'parameters', 'describe')
/** Check of an option that must be an optimizer. */
export const OPTIMIZER: Kind = objectWith(
  'an optimizer, with step, setHyperparameters and the like',
  'step',
  'setHyperparameters',
  'zeroGradients',
)
/** Check of an argument that must be predictions for items. */
export const PREDICTIONS: Kind = {
  expected: 'predictions, such as `await learner.getPredictions()`',
  is: (value) => value instanceof Object && 'predictions' in value && 'targets' in value,
}
