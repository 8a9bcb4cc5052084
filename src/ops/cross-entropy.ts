import { requireNumber } from '../base/check.ts'
import { DtypeError, OptionError, ShapeError } from '../base/errors.ts'
import { formatShape } from '../base/format.ts'
import { ANY, checkOptions, NUMBER, type Kind, type Kinds } from '../base/options.ts'
import { empty, launch, storageDtype } from '../tensor/launch.ts'
import { defineOp } from '../tensor/op.ts'
import { release } from '../tensor/scope.ts'
import { padTo4 } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { oneWorkgroup, rowPass, onGrid } from '../gpu/grid.ts'
import '../gpu/wgsl/cross-entropy/index.ts'
import '../gpu/wgsl/sum/total.ts'

/** Class labels of the rows; two labels per row if images are mixed. */
export interface ClassTargets {
  /** Labels, [N] u32, each below K. */
  readonly a: Tensor
  /** Second labels, [N] u32, and the weight `mix` of label `a` in each row, [N] f32. Both or neither. */
  readonly b?: Tensor | undefined
  readonly mix?: Tensor | undefined
}

export interface CrossEntropyOptions {
  /** Fraction of the target distributed evenly over all K classes, 0 … 1. Default 0 */
  readonly smoothing?: number
  /** Exponent of the focal loss, at least 0, which leaves no room for smoothing. Default 0, the plain cross-entropy */
  readonly gamma?: number
  /** Reduction of the losses: their mean, weighted where there are weights, or none. Default mean */
  readonly reduction?: 'mean' | 'none'
  /** Weight of each class, [K] f32. Default: 1 for all. No gradient flows to it. */
  readonly weight?: Tensor | undefined
}

type Inputs = readonly [
  logits: Tensor,
  a: Tensor,
  b: Tensor | undefined,
  mix: Tensor | undefined,
  weight: Tensor | undefined,
]

interface Plan {
  readonly shape: { readonly N: number; readonly K: number; readonly VECTORS: number }
  readonly constants: {
    readonly MIXED: boolean
    readonly WEIGHTED: boolean
    readonly SMOOTHING: number
    readonly GAMMA: number
  }
  readonly mean: boolean
  readonly dtype: 'f32' | 'f16'
  readonly detail: string
}

// defineOp checks that they are tensors.
const TARGETS: Kinds<ClassTargets> = { a: ANY, b: ANY, mix: ANY }
const REDUCTION: Kind = { expected: "'mean' or 'none'", is: (value) => value === 'mean' || value === 'none' }

const op = defineOp<Inputs, Omit<CrossEntropyOptions, 'weight'>, Plan>({
  name: 'softmaxCrossEntropy',
  required: 2,
  options: { smoothing: NUMBER, gamma: NUMBER, reduction: REDUCTION },

  plan([logits, a, b, mix, weight], { smoothing = 0, gamma = 0, reduction = 'mean' }) {
    const where = 'softmaxCrossEntropy'
    if (logits.shape.length !== 2) {
      throw new ShapeError(where, 'the logits must be a matrix', { given: { logits }, expected: 'logits as [N,K]' })
    }
    const [N, K] = logits.shape
    if ((b === undefined) !== (mix === undefined)) {
      throw new OptionError(where, 'b and mix belong together', {
        given: { b: b ?? 'none', mix: mix ?? 'none' },
        expected: 'both or neither',
      })
    }
    for (const [name, labels, dtype] of [
      ['a', a, 'u32'],
      ['b', b, 'u32'],
      ['mix', mix, 'f32'],
    ] as const) {
      if (!labels) continue
      const wrong = {
        given: { logits, [name]: labels },
        expected: `${formatShape({ shape: [N], dtype })}, one per row of the logits`,
      }
      if (labels.shape.length !== 1 || labels.shape[0] !== N) {
        throw new ShapeError(where, `${name} does not fit the logits`, wrong)
      }
      if (labels.dtype !== dtype) throw new DtypeError(where, `${name} has the wrong type`, wrong)
    }
    if (weight) {
      const wrong = {
        given: { logits, weight },
        expected: `${formatShape({ shape: [K], dtype: 'f32' })}, one per class`,
      }
      if (weight.shape.length !== 1 || weight.shape[0] !== K) {
        throw new ShapeError(where, 'weight does not fit the logits', {
          ...wrong,
          fix: 'give one weight per output of the model, or build the model with as many outputs as there are classes',
        })
      }
      if (weight.dtype !== 'f32') throw new DtypeError(where, 'weight has the wrong type', wrong)
    }
    requireNumber(where, 'smoothing', smoothing, { from: 0, to: 1 })
    requireNumber(where, 'gamma', gamma, { from: 0 })
    if (smoothing > 0 && gamma > 0) {
      throw new OptionError(where, 'smoothing and gamma exclude each other', {
        given: { smoothing, gamma },
        expected: 'one of them to be 0',
      })
    }
    return {
      shape: { N, K, VECTORS: padTo4(K) / 4 },
      constants: { MIXED: mix !== undefined, WEIGHTED: weight !== undefined, SMOOTHING: smoothing, GAMMA: gamma },
      mean: reduction === 'mean',
      dtype: storageDtype(logits),
      detail: formatShape([N, K]),
    }
  },

  forward({ shape, constants, mean, dtype, detail }, [logits, a, b = a, mix = unread(), weight = unread()]) {
    const { N, K } = shape
    const { MIXED, WEIGHTED } = constants
    const losses = empty({ shape: [N], dtype: 'f32' }, 'losses')
    const rows = empty({ shape: [WEIGHTED ? N + 1 : N, 4], dtype: 'f32' }, 'normalizers of rows')
    // Threads for the padding of the losses write its zeros.
    const {
      constants: threads,
      groups: [groups],
    } = rowPass(padTo4(N))
    launch(
      'cross-entropy/forward',
      { logits, a, b, mix, weight, losses, rows },
      { groups, constants: { ...threads, ...constants }, shape, dtype, detail },
    )
    if (!mean) return { output: losses, extras: [rows] }
    const loss = empty({ shape: [], dtype: 'f32' }, 'loss')
    if (WEIGHTED) {
      launch(
        'cross-entropy/weighted-mean',
        { losses, a, b, mix, weight, loss, rows },
        onGrid(oneWorkgroup(), { shape: { N, K }, constants: { MIXED } }),
      )
    } else {
      launch(
        'sum/total',
        { partial: losses, total: loss },
        onGrid(oneWorkgroup(), { shape: { COUNT: padTo4(N) / 4, DIVISOR: N } }),
      )
    }
    release(losses)
    return { output: loss, extras: [rows] }
  },

  backward(
    { shape, constants, mean, dtype, detail },
    dloss,
    { inputs: [logits, a, b = a, mix = unread(), weight = unread()], extras: [rows] },
    _needs,
    target,
  ) {
    const dlogits = target(0)
    launch(
      'cross-entropy/backward',
      { logits, a, b, mix, weight, rows, dloss, dlogits },
      {
        groups: Math.ceil((shape.N * shape.VECTORS) / 64),
        constants: { ...constants, MEAN: mean },
        shape,
        dtype,
        detail,
      },
    )
    return [dlogits]
  },
})

/** Returns the tensor to bind in place of one that is not read. */
const unread = () => empty({ shape: [4], dtype: 'f32' }, 'not read')

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
