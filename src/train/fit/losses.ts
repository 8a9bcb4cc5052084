import { requireInteger, requireNumber } from '../../base/check.ts'
import type { Json } from '../../base/json.ts'
import { checkArgument, NUMBER } from '../../base/options.ts'
import type { Targets } from '../../data/batch.ts'
import { softmax } from '../../ops/softmax.ts'
import { softmaxCrossEntropy } from '../../ops/cross-entropy.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { replayable } from './replayable.ts'

/** What training makes small, and how the model's outputs become probabilities. */
export interface Loss {
  readonly name: string
  /** Options it was made with: a fit is only continued with the same (see train/files/fit-description.ts). Default none */
  readonly options?: Json
  /**
   * `mean` launches the same work for every batch of a shape and decides nothing in TypeScript, so that a training step
   * recorded once can be replayed without calling it. Default false: then steps are not replayed
   */
  readonly replayable?: boolean
  /** The mean over a batch, [] f32: what training descends. Outputs [N,K] f32. */
  mean(outputs: Tensor, targets: Targets): Tensor
  /** The loss of every item, [N] f32: what validation adds up. */
  each(outputs: Tensor, targets: Targets): Tensor
  /** [N,K] f32, each row with the sum 1. */
  probabilities(outputs: Tensor): Tensor
}

/**
 * Cross-entropy of the softmax of the outputs with the label: −ln softmax(outputs)[label].
 *
 * Source: fastai losses.py, CrossEntropyLossFlat.
 */
export function crossEntropy(): Loss {
  return smoothedCrossEntropy('crossEntropy', 0)
}

/**
 * Cross-entropy with a target that is not quite certain: 1 − eps + eps/K for the label, eps/K for every other class.
 *
 * @param eps  in [0,1). Default 0.1
 * @throws OptionError  when it is not
 * Source: fastai losses.py, LabelSmoothingCrossEntropy; Szegedy et al. 2015, arXiv:1512.00567, §7.
 */
export function labelSmoothing(eps = 0.1): Loss {
  checkArgument('labelSmoothing', 'eps', eps, NUMBER)
  requireNumber('labelSmoothing', 'eps', eps, { from: 0, below: 1 })
  return smoothedCrossEntropy('labelSmoothing', eps)
}

/**
 * What label smoothing takes for the truth about an item: a probability for each class, with the sum 1.
 *
 *   eps/K for every class, and 1 − eps more for the label:  0.01 and 0.91 for ten classes and eps = 0.1
 *
 * @param classes  K, the outputs of the model
 * @param target   the label, 0 … K − 1
 * @throws OptionError  when one of them is out of range
 * Source: as labelSmoothing.
 */
export function smoothedLabels(classes: number, eps: number, target: number): number[] {
  requireInteger('smoothedLabels', 'classes', classes, { from: 1 })
  requireInteger('smoothedLabels', 'target', target, { from: 0, to: classes - 1 })
  requireNumber('smoothedLabels', 'eps', eps, { from: 0, below: 1 })
  return Array.from({ length: classes }, (_, label) => eps / classes + (label === target ? 1 - eps : 0))
}

function smoothedCrossEntropy(name: string, smoothing: number): Loss {
  return replayable({
    name,
    options: { smoothing },
    mean: (outputs, targets) => softmaxCrossEntropy(outputs, targets, { smoothing, reduction: 'mean' }),
    each: (outputs, targets) => softmaxCrossEntropy(outputs, targets, { smoothing, reduction: 'none' }),
    probabilities: softmax,
  })
}
