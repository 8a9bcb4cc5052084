import { requireInteger, requireNumber } from '../../base/check.ts'
import type { Json } from '../../base/json.ts'
import { checkArgument, NUMBER } from '../../base/options.ts'
import type { Targets } from '../../data/batch.ts'
import { softmax } from '../../ops/softmax.ts'
import { softmaxCrossEntropy } from '../../ops/cross-entropy.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { replayable } from './replayable.ts'

/** Loss function: the scalar that training minimizes, and the conversion of outputs to probabilities. */
export interface Loss {
  readonly name: string
  /**
   * Options that the loss was made with: a fit can be resumed only with the same ones (see
   * train/files/fit-description.ts). Default none
   */
  readonly options?: Json
  /**
   * True if `mean` launches the same work for every batch of one shape and takes no decisions in TypeScript, so that a
   * recorded training step can be replayed without calling it. Default false: then no step is replayed
   */
  readonly replayable?: boolean
  /** Computes the mean loss of a batch, [] f32, which training minimizes, from outputs [N,K] f32. */
  mean(outputs: Tensor, targets: Targets): Tensor
  /** Computes the loss of each item, [N] f32, which validation averages, from outputs [N,K] f32. */
  each(outputs: Tensor, targets: Targets): Tensor
  /** Computes probabilities, [N,K] f32 with rows that sum to 1, from outputs [N,K] f32. */
  probabilities(outputs: Tensor): Tensor
}

/**
 * Makes the cross-entropy loss of softmax probabilities: −ln softmax(outputs)[label].
 *
 * Source: fastai losses.py, CrossEntropyLossFlat.
 */
export function crossEntropy(): Loss {
  return smoothedCrossEntropy('crossEntropy', 0)
}

/**
 * Makes the cross-entropy loss with smoothed labels: target probability 1 − eps + eps/K for the label, eps/K for every
 * other class.
 *
 * @param eps  probability mass spread evenly over all classes, in [0,1). Default 0.1
 * @throws OptionError  if eps is out of range
 * Source: fastai losses.py, LabelSmoothingCrossEntropy; Szegedy et al. 2015, arXiv:1512.00567, §7.
 */
export function labelSmoothing(eps = 0.1): Loss {
  checkArgument('labelSmoothing', 'eps', eps, NUMBER)
  requireNumber('labelSmoothing', 'eps', eps, { from: 0, below: 1 })
  return smoothedCrossEntropy('labelSmoothing', eps)
}

/**
 * Returns the target distribution that label smoothing uses for one item: a probability per class, with sum 1.
 *
 *   eps/K for every class, and 1 − eps more for the label:  0.01 and 0.91 for ten classes and eps = 0.1
 *
 * @param classes  K, number of outputs of the model
 * @param eps      probability mass spread evenly over all classes, in [0,1)
 * @param target   label, 0 … K − 1
 * @throws OptionError  if an argument is out of range
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
