import { ANY, checkOptions, NUMBER, oneOfTexts, type Kinds } from '../base/options.ts'
import { passesWithGpu } from '../tensor/load-with-gpu.ts'
import { defineOp } from '../tensor/op.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { CrossEntropyOptions } from './plans/cross-entropy-passes.ts'

export type { CrossEntropyOptions } from './plans/cross-entropy-passes.ts'

/** Class labels of the rows; two labels per row if images are mixed. */
export interface ClassTargets {
  /** Labels, [N] u32, each below K. */
  readonly a: Tensor
  /** Second labels, [N] u32, and the weight `mix` of label `a` in each row, [N] f32. Both or neither. */
  readonly b?: Tensor | undefined
  readonly mix?: Tensor | undefined
}

// defineOp checks that they are tensors.
const TARGETS: Kinds<ClassTargets> = { a: ANY, b: ANY, mix: ANY }

const op = defineOp({
  name: 'softmaxCrossEntropy',
  required: 2,
  options: { smoothing: NUMBER, gamma: NUMBER, reduction: oneOfTexts('mean', 'none') },
  ...passesWithGpu(
    'softmaxCrossEntropy',
    async () => (await import('./plans/cross-entropy-passes.ts')).crossEntropyPasses,
  ),
})

/**
 * Computes the cross-entropy between the softmax of logits and class labels, with optional smoothing, mixing, weights of
 * classes and focus on what is hard.
 *
 *   loss[n] = mix[n]·L(a[n]) + (1 − mix[n])·L(b[n]),  without b only L(a[n])
 *   L(y) = −(1 − smoothing)·w[y]·logp[y] − smoothing/K·Σ_k w[k]·logp[k],  logp = log softmax(logits[n]),  w = weight or 1
 *   L(y) = −w[y]·(1 − p[y])^gamma·logp[y]  with gamma
 *   mean = Σ_n loss[n] / Σ_n (mix[n]·w[a[n]] + (1 − mix[n])·w[b[n]]), without weights Σ_n loss[n] / N
 *   dlogits[n,k] = (softmax(logits[n])[k] − target[n,k])·dloss/N  without weights and gamma
 *
 * The mean of a batch whose weights are all 0 is 0, without a gradient (in PyTorch NaN).
 *
 * @param logits   [N,K] f16 | f32
 * @param targets  labels [N] u32, below K
 * @returns        [] f32, the mean over the rows, weighted as their labels are; with reduction 'none' [N] f32. All arithmetic is f32.
 * @throws ShapeError, DtypeError  if labels do not fit the logits
 * @throws OptionError  if smoothing or gamma is out of range, or b comes without mix
 *
 * The gradient flows to the logits, in their type. A label of K or more makes loss and gradient of its row NaN, since only the
 * GPU reads labels (PyTorch raises an IndexError on the CPU and a device-side assertion on a GPU).
 * Source: Szegedy et al. 2016, arXiv:1512.00567 (smoothing); Zhang et al. 2018, arXiv:1710.09412 (mixing); fastai
 * losses.py, LabelSmoothingCrossEntropy, and callback/mixup.py; PyTorch nn.CrossEntropyLoss (weights and their mean); Lin et
 * al. 2017, arXiv:1708.02002 (gamma).
 */
export function softmaxCrossEntropy(logits: Tensor, targets: ClassTargets, options: CrossEntropyOptions = {}): Tensor {
  checkOptions('softmaxCrossEntropy', targets, TARGETS)
  const { a, b, mix } = targets
  const { weight, ...others } = options
  return op([logits, a, b, mix, weight], others)
}
