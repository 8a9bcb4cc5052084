import { objectWith, type Kind } from '../../base/options.ts'

export const LOADERS: Kind = {
  expected: 'loaders, such as `await block.loaders(path)`',
  is: (value) => value instanceof Object && 'train' in value && 'valid' in value && 'vocab' in value,
}
export const LOADER: Kind = objectWith('a loader, such as loaders.valid', 'batches', 'order')
export const MODULE: Kind = objectWith('a model, such as xresnet18()', 'forward', 'parameters', 'describe')
export const OPTIMIZER: Kind = objectWith(
  'an optimizer, with step, setHyperparameters and the like',
  'step',
  'setHyperparameters',
  'zeroGradients',
)
