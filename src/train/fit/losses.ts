import { requireInteger, requireNumber } from '../../base/check.ts'
import { OptionError } from '../../base/errors.ts'
import type { Json } from '../../base/json.ts'
import { checkArgument, checkOptions, listOf, NUMBER, type Kinds } from '../../base/options.ts'
import type { Targets } from '../../data/batch.ts'
import { outputsOf, type TargetCodec } from '../../data/targets.ts'
import { absoluteError, huberError, squaredError } from '../../ops/regression-errors.ts'
import { mul } from '../../ops/mul.ts'
import { sigmoidCrossEntropy } from '../../ops/binary-cross-entropy.ts'
import { softmaxCrossEntropy } from '../../ops/cross-entropy.ts'
import { constant } from '../../tensor/constant.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { replayable } from './replayable.ts'

/** Function from outputs to predictions. */
export type Activation = 'softmax' | 'sigmoid' | 'none'

/** Loss function: the scalar that training minimizes, and the name of what turns outputs into predictions. */
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
  /**
   * Weight of each class, if the mean is a weighted one: Σ each / Σ weight[label]. Validation, whose batches are not all
   * of one size, divides the sum over all items by it; its loss is NaN if the weights of all are 0. Default: every item
   * counts the same
   */
  readonly classWeights?: readonly number[]
  /**
   * Targets that it takes: 'classes', one number per image ([N] u32), or 'numbers', a row of them ([N,columns] f32). A
   * `Learner` refuses loaders of the other kind. Default: whatever the loaders have
   */
  readonly takes?: 'classes' | 'numbers'
  /**
   * Function from outputs to predictions, of a learner, of exported models and of ONNX files: 'softmax' for probabilities with
   * the sum 1, 'sigmoid' for one probability per output, or 'none' for outputs that are the prediction. Default 'softmax'
   */
  readonly activation?: Activation
  /** Probability above which a label counts, where an image may have several. Default 0.5 */
  readonly threshold?: number
  /** Computes the mean loss of a batch, [] f32, which training minimizes, from outputs [N,K] f32. */
  mean(outputs: Tensor, targets: Targets): Tensor
  /**
   * Computes the loss of each item, [N] f32, which validation averages, from outputs [N,K] f32; with class weights,
   * multiplied by that of its label.
   */
  each(outputs: Tensor, targets: Targets): Tensor
}

/** Options of the losses of class labels. */
export interface ClassLossOptions {
  /**
   * Weight of each class, in the order of the vocabulary: at least 0, one of them above. `classWeights(loaders)` of
   * `wgrad/data` gives rare classes a large one. Default: 1 for all
   */
  readonly weight?: readonly number[]
}

/** Options of `focalLoss`. */
export interface FocalLossOptions extends ClassLossOptions {
  /** Exponent: the larger it is, the less count items that are right anyway; 0 is the cross-entropy. Default 2 */
  readonly gamma?: number
}

/** Options of `binaryCrossEntropy`. */
export interface BinaryCrossEntropyOptions {
  /** Factor of the loss of each label, in the order of the vocabulary, at least 0. Default: 1 for all */
  readonly weight?: readonly number[]
  /**
   * Factor of the part that an image with the label has, for each label, at least 0: above 1 for labels that few have, such as
   * the number of images without it by that of images with it. Default: 1 for all
   */
  readonly posWeight?: readonly number[]
  /** Probability above which a label counts in predictions, in [0,1]. Default 0.5 */
  readonly threshold?: number
}

const WEIGHT: Kinds<ClassLossOptions> = { weight: listOf(NUMBER) }

/**
 * Makes the cross-entropy loss of softmax probabilities: −ln softmax(outputs)[label].
 *
 *   with weights:  mean = Σ weight[label]·loss / Σ weight[label], over the items of a batch, or of a validation
 *
 * If the weights of all items are 0, the mean of a batch is 0, a step without a gradient, and that of a validation NaN.
 *
 * With mixup and CutMix each label counts by its share. (fastai divides by the number of items there.)
 *
 * @throws OptionError  if a weight is negative or not finite, or all are 0
 * Source: fastai losses.py, CrossEntropyLossFlat; PyTorch nn.CrossEntropyLoss.
 */
export function crossEntropy(options: ClassLossOptions = {}): Loss {
  checkOptions('crossEntropy', options, WEIGHT)
  return classLoss('crossEntropy', { smoothing: 0 }, options)
}

/**
 * Makes the cross-entropy loss with smoothed labels: target probability 1 − eps + eps/K for the label, eps/K for every
 * other class.
 *
 * With weights the target of every class is multiplied by its own, as in PyTorch. (fastai leaves the part eps/K alone.)
 *
 * @param eps  probability mass spread evenly over all classes, in [0,1). Default 0.1
 * @throws OptionError  if eps is out of range, and as crossEntropy
 * Source: fastai losses.py, LabelSmoothingCrossEntropy; PyTorch nn.CrossEntropyLoss; Szegedy et al. 2015,
 * arXiv:1512.00567, §7.
 */
export function labelSmoothing(eps = 0.1, options: ClassLossOptions = {}): Loss {
  checkArgument('labelSmoothing', 'eps', eps, NUMBER)
  requireNumber('labelSmoothing', 'eps', eps, { from: 0, below: 1 })
  checkOptions('labelSmoothing', options, WEIGHT)
  return classLoss('labelSmoothing', { smoothing: eps }, options)
}

/**
 * Makes the focal loss, a cross-entropy in which items count the less the surer the model is of their label:
 *
 *   loss = −weight[label]·(1 − p)^gamma·ln p,  p = softmax(outputs)[label]
 *   mean = Σ loss / Σ weight[label]
 *
 * Without weights it is fastai's. (With them fastai raises p to the power of the weight, and divides by the number of items.)
 *
 * @throws OptionError  if gamma is negative, and as crossEntropy
 * Source: fastai losses.py, FocalLoss; Lin et al. 2017, arXiv:1708.02002, equation 5.
 */
export function focalLoss(options: FocalLossOptions = {}): Loss {
  checkOptions<FocalLossOptions>('focalLoss', options, { ...WEIGHT, gamma: NUMBER })
  const { gamma = 2, ...weights } = options
  requireNumber('focalLoss', 'gamma', gamma, { from: 0 })
  return classLoss('focalLoss', { gamma }, weights)
}

/**
 * Makes the loss of several labels per image: the binary cross-entropy of the logistic function of each output, and the mean
 * over all labels of all images. Loaders with a `MultiCategoryBlock` have it by default.
 *
 *   loss = −mean(weight·(posWeight·y·log σ(output) + (1 − y)·log(1 − σ(output))))
 *
 * @throws OptionError  if a weight is negative or not finite, or the threshold is out of range
 * Source: fastai losses.py, BCEWithLogitsLossFlat; PyTorch nn.BCEWithLogitsLoss.
 */
export function binaryCrossEntropy(options: BinaryCrossEntropyOptions = {}): Loss {
  checkOptions('binaryCrossEntropy', options, { weight: listOf(NUMBER), posWeight: listOf(NUMBER), threshold: NUMBER })
  const { weight, posWeight, threshold = 0.5 } = options
  if (weight) checkWeights('binaryCrossEntropy', weight)
  if (posWeight) checkWeights('binaryCrossEntropy', posWeight, 'posWeight')
  requireNumber('binaryCrossEntropy', 'threshold', threshold, { from: 0, to: 1 })
  const [weights, positives] = [weight && constant([...weight]), posWeight && constant([...posWeight])]
  const loss = (outputs: Tensor, { a }: Targets, reduction: 'mean' | 'rows') =>
    sigmoidCrossEntropy(outputs, a, { reduction, weight: weights?.(), posWeight: positives?.() })
  return replayable({
    name: 'binaryCrossEntropy',
    takes: 'numbers',
    activation: 'sigmoid',
    threshold,
    options: { ...(weight && { weight: [...weight] }), ...(posWeight && { posWeight: [...posWeight] }) },
    mean: (outputs, targets) => loss(outputs, targets, 'mean'),
    each: (outputs, targets) => loss(outputs, targets, 'rows'),
  })
}

/** Options of `mseLoss` and `l1Loss`. */
export interface NumberLossOptions {
  /**
   * Unit of each number of a target, above 0, by which its errors are divided, such as its deviation in the training set: numbers
   * with different units then count alike, and gradients fit half precision. Default: 1 for all
   */
  readonly scale?: readonly number[]
}

/**
 * Makes the loss mean squared error, of targets that are numbers. Loaders with a `RegressionBlock` have it by default.
 *
 * @throws OptionError  if a scale is not above 0
 * Source: fastai losses.py, MSELossFlat; PyTorch nn.MSELoss.
 */
export function mseLoss(options: NumberLossOptions = {}): Loss {
  return scaledLoss('mseLoss', options, squaredError)
}

/**
 * Makes the loss mean absolute error, which single wrong targets move less than `mseLoss`.
 *
 * @throws OptionError  if a scale is not above 0
 * Source: fastai losses.py, L1LossFlat; PyTorch nn.L1Loss.
 */
export function l1Loss(options: NumberLossOptions = {}): Loss {
  return scaledLoss('l1Loss', options, absoluteError)
}

/**
 * Makes Huber's loss, the mean of d²/2 where the distance d is below delta, otherwise of delta·(d − delta/2).
 *
 * @param options.delta  above 0. Default 1
 * @throws OptionError  if delta is out of range
 * Source: PyTorch nn.HuberLoss.
 */
export function huberLoss(options: { readonly delta?: number } = {}): Loss {
  checkOptions('huberLoss', options, { delta: NUMBER })
  const { delta = 1 } = options
  requireNumber('huberLoss', 'delta', delta, { above: 0 })
  return numberLoss('huberLoss', { delta }, (outputs, targets, how) => huberError(outputs, targets, { ...how, delta }))
}

/**
 * Makes the smooth L1 loss, which is `huberLoss({ delta: beta })` divided by beta.
 *
 * @param options.beta  above 0. Default 1
 * @throws OptionError  if beta is out of range
 * Source: PyTorch nn.SmoothL1Loss.
 */
export function smoothL1Loss(options: { readonly beta?: number } = {}): Loss {
  checkOptions('smoothL1Loss', options, { beta: NUMBER })
  const { beta = 1 } = options
  requireNumber('smoothL1Loss', 'beta', beta, { above: 0 })
  return numberLoss('smoothL1Loss', { beta }, (outputs, targets, how) =>
    huberError(outputs, targets, { ...how, delta: beta, smooth: true }),
  )
}

type NumberError = (outputs: Tensor, targets: Tensor, how: { readonly reduction: 'mean' | 'rows' }) => Tensor

function scaledLoss(name: string, options: NumberLossOptions, error: NumberError): Loss {
  checkOptions(name, options, { scale: listOf(NUMBER) })
  const { scale } = options
  if (!scale) return numberLoss(name, {}, error)
  for (const [i, one] of scale.entries()) requireNumber(name, `scale[${i}]`, one, { above: 0 })
  const factors = constant(scale.map((one) => 1 / one))
  return numberLoss(name, { scale: [...scale] }, (outputs, targets, how) =>
    error(mul(outputs, factors()), mul(targets, factors()), how),
  )
}

function numberLoss(name: string, options: Readonly<Record<string, Json>>, error: NumberError): Loss {
  return replayable({
    name,
    takes: 'numbers',
    activation: 'none',
    options,
    mean: (outputs, { a }) => error(outputs, a, { reduction: 'mean' }),
    each: (outputs, { a }) => error(outputs, a, { reduction: 'rows' }),
  })
}

/**
 * Returns the loss of targets where none is given: the cross-entropy of classes, the binary cross-entropy of labels, the
 * squared error of numbers.
 */
export function lossFor({ kind, columns }: TargetCodec): Loss {
  return columns === 'class' ? crossEntropy() : kind === 'multiCategory' ? binaryCrossEntropy() : mseLoss()
}

/**
 * Refuses a loss with a function `probabilities`, which a loss had up to version 0.1.0: files of models hold the name of an
 * `activation` and no function, so that they would predict something else.
 */
export function requireNamedActivation(loss: Loss): void {
  if (!('probabilities' in loss)) return
  throw new OptionError(`loss ${loss.name}`, 'predictions are made by its `activation`, and by no function', {
    fix: "give activation: 'softmax', 'sigmoid' or 'none' in place of `probabilities`",
  })
}

/**
 * Requires a loss to take the targets of loaders.
 *
 * @throws OptionError  that names losses for them
 */
export function requireTakes({ name, takes }: Loss, target: TargetCodec): void {
  const given = target.columns === 'class' ? 'classes' : 'numbers'
  if (takes === undefined || takes === given) return
  throw new OptionError(`loss ${name}`, `it compares outputs with ${takes}, and the loaders have ${given}`, {
    given: { targets: target.kind, outputs: outputsOf(target) },
    fix:
      given === 'classes'
        ? 'use crossEntropy(), or a block of numbers: MultiCategoryBlock(), RegressionBlock()'
        : 'use binaryCrossEntropy() for labels, mseLoss() or l1Loss() for numbers, or leave the loss out',
  })
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

function classLoss(
  name: string,
  options: { readonly smoothing: number } | { readonly gamma: number },
  { weight }: ClassLossOptions,
): Loss {
  if (weight) checkWeights(name, weight)
  const onGpu = weight && constant([...weight])
  const loss = (outputs: Tensor, targets: Targets, reduction: 'mean' | 'none') =>
    softmaxCrossEntropy(outputs, targets, { ...options, reduction, weight: onGpu?.() })
  return replayable({
    name,
    takes: 'classes',
    activation: 'softmax',
    options: { ...options, ...(weight && { weight: [...weight] }) },
    ...(weight && { classWeights: [...weight] }),
    mean: (outputs, targets) => loss(outputs, targets, 'mean'),
    each: (outputs, targets) => loss(outputs, targets, 'none'),
  })
}

/** @throws OptionError  if a weight is negative or not finite, or all are 0 */
function checkWeights(where: string, weight: readonly number[], name = 'weight'): void {
  for (const [label, value] of weight.entries()) requireNumber(where, `${name}[${label}]`, value, { from: 0 })
  if (weight.some((value) => value > 0)) return
  throw new OptionError(where, 'no class has a weight, so there is nothing to learn', {
    given: { [name]: weight },
    expected: 'at least one weight above 0',
  })
}
