import { requireNumber } from '../../base/check.ts'
import { DtypeError, OptionError, ShapeError } from '../../base/errors.ts'
import { formatShape } from '../../base/format.ts'
import { oneWorkgroup, onGrid, rowPass } from '../../gpu/grid.ts'
import { empty, launch, storageDtype } from '../../tensor/launch.ts'
import type { Passes } from '../../tensor/load-with-gpu.ts'
import { release } from '../../tensor/scope.ts'
import { padTo4 } from '../../tensor/shape.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import '../../gpu/wgsl/cross-entropy/index.ts'
import '../../gpu/wgsl/sum/total.ts'

/** Options of `softmaxCrossEntropy`. */
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

export type CrossEntropyInputs = readonly [
  logits: Tensor,
  a: Tensor,
  b: Tensor | undefined,
  mix: Tensor | undefined,
  weight: Tensor | undefined,
]

export interface CrossEntropyPlan {
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

/** Checks and launches of `softmaxCrossEntropy`. */
export const crossEntropyPasses: Passes<CrossEntropyInputs, Omit<CrossEntropyOptions, 'weight'>, CrossEntropyPlan> = {
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
    launch(
      'cross-entropy/forward',
      { logits, a, b, mix, weight, losses, rows },
      // Threads for the padding of the losses write its zeros.
      onGrid(rowPass(padTo4(N)), { constants, shape, dtype, detail }),
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
}

/** Returns the tensor to bind in place of one that is not read. */
const unread = () => empty({ shape: [4], dtype: 'f32' }, 'not read')
