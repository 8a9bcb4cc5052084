import { requireNumber } from '../../base/check.ts'
import { ShapeError } from '../../base/errors.ts'
import { formatShape } from '../../base/format.ts'
import { columnPass, columnSums, onGrid, type Grid } from '../../gpu/grid.ts'
import { elementwise, empty, launch, storageDtype } from '../../tensor/launch.ts'
import type { Passes } from '../../tensor/load-with-gpu.ts'
import { requireAlike } from '../../tensor/op.ts'
import { isRecomputing } from '../../tensor/recompute.ts'
import { release } from '../../tensor/scope.ts'
import { elementCount, storedLastAxis } from '../../tensor/shape.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { requirePerChannel } from './per-channel.ts'
import '../../gpu/wgsl/batch-norm/index.ts'
import '../../gpu/wgsl/relu/backward.ts'

/** Options of `batchNorm`. */
export interface BatchNormOptions {
  /** Running statistics of the channels, [C] f32; updated in training. */
  readonly runningMean: Tensor
  readonly runningVar: Tensor
  /** True normalizes by the statistics of the batch and updates the running ones; false normalizes by the running ones. */
  readonly training: boolean
  /** Weight of the batch in the running statistics, 0 … 1. Default 0.1 */
  readonly momentum?: number
  /** Number added to the variance, > 0. Default 1e-5 */
  readonly eps?: number
  /** Tensor added to the result, in shape and type of x. Default none */
  readonly residual?: Tensor | undefined
  /** True applies a rectified linear unit at the end, after the residual. Default false */
  readonly relu?: boolean
}

export type BatchNormInputs = readonly [x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | undefined]

export interface BatchNormPlan extends Required<Omit<BatchNormOptions, 'residual'>> {
  /** Sizes of x as a matrix, [pixels, channels], and the number of vectors of four per row. */
  readonly pixels: number
  readonly channels: number
  readonly vectors: number
  readonly dtype: 'f32' | 'f16'
  readonly detail: string
}

/** Checks and launches of `batchNorm`. */
export const batchNormPasses: Passes<BatchNormInputs, BatchNormOptions, BatchNormPlan> = {
  plan([x, weight, bias, residual], { runningMean, runningVar, training, momentum = 0.1, eps = 1e-5, relu = false }) {
    if (x.shape.length < 2) {
      throw new ShapeError('batchNorm', 'x must have a batch axis', {
        given: { x },
        expected: 'at least two axes, the channels last',
      })
    }
    const channels = x.shape[x.shape.length - 1]
    const perChannel = { [weight.name ?? 'weight']: weight, [bias.name ?? 'bias']: bias, runningMean, runningVar }
    requirePerChannel('batchNorm', x, perChannel)
    if (residual) requireAlike('batchNorm', { x, residual })
    requireNumber('batchNorm', 'momentum', momentum, { from: 0, to: 1 })
    requireNumber('batchNorm', 'eps', eps, { above: 0 })
    const pixels = elementCount(x.shape) / channels
    if (training && pixels === 1) {
      throw new ShapeError('batchNorm', 'one value per channel has no variance', {
        given: { x },
        fix: 'train with larger batches, or drop the last one',
      })
    }
    return {
      // A repeated forward pass must not update the running statistics again.
      runningMean,
      runningVar,
      training,
      momentum: isRecomputing() ? 0 : momentum,
      eps,
      relu,
      pixels,
      channels,
      vectors: storedLastAxis(x) / 4,
      dtype: storageDtype(x),
      detail: formatShape(x.shape),
    }
  },

  forward(plan, [x, weight, bias, residual]) {
    const channels = plan.training ? batchStatistics(plan, x, weight) : runningStatistics(plan, weight)
    const y = empty(x, 'batchNorm')
    overPixels(plan, 'batch-norm/forward', { x, residual: residual ?? x, channels, bias, y }, plan.relu, {
      RESIDUAL: residual !== undefined,
    })
    return { output: y, extras: [channels] }
  },

  backward(plan, dy, { inputs: [x, , bias, residual], output: y, extras: [channels] }, needs, target) {
    // The mask after the sum with the residual applies to both: masked once, dy is also the gradient of the residual.
    const g = residual && plan.relu ? masked(y, dy, needs[3] ? target(3) : empty(residual)) : dy
    const relu = plan.relu && !residual
    const perChannel = { shape: [plan.channels], dtype: 'f32' } as const
    const dweight = needs[1] ? target(1, 'f32') : empty(perChannel)
    const dbias = needs[2] ? target(2, 'f32') : empty(perChannel)
    const coefficients = empty({ shape: [2, plan.channels], dtype: 'f32' }, 'coefficients of dx')
    parameterGradients(plan, { x, dy: g, channels, bias }, { dweight, dbias, coefficients }, relu)
    const dx = needs[0] ? target(0) : undefined
    if (dx) overPixels(plan, 'batch-norm/backward-input', { x, dy: g, channels, coefficients, bias, dx }, relu)
    release(coefficients)
    if (!needs[1]) release(dweight)
    if (!needs[2]) release(dbias)
    if (!needs[3] && g !== dy) release(g)
    return [dx, dweight, dbias, g]
  },
}

/** Computes [mean, 1/√(variance + eps), scale] of the batch, [3,C] f32, and updates the running statistics. */
function batchStatistics({ pixels, vectors, ...plan }: BatchNormPlan, x: Tensor, weight: Tensor): Tensor {
  const { RUN, SLICES, runs } = columnSums(pixels, vectors)
  const partial = { shape: [SLICES, plan.channels], dtype: 'f32' } as const
  const means = empty(partial, 'means of runs')
  const deviations = empty(partial, 'deviations of runs')
  const channels = empty({ shape: [3, plan.channels], dtype: 'f32' }, 'statistics')
  launch(
    'batch-norm/statistics',
    { x, means, deviations },
    onGrid(runs, {
      shape: { PIXELS: pixels, RUN, VECTORS: vectors },
      dtype: plan.dtype,
      detail: plan.detail,
    }),
  )
  const { runningMean, runningVar } = plan
  launch(
    'batch-norm/finish',
    { means, deviations, weight, runningMean, runningVar, channels },
    onGrid(perChannel(vectors), {
      constants: { MOMENTUM: plan.momentum, EPSILON: plan.eps },
      shape: { PIXELS: pixels, RUN, SLICES, CHANNELS: 4 * vectors },
    }),
  )
  release(means)
  release(deviations)
  return channels
}

function runningStatistics({ vectors, eps, runningMean, runningVar, ...plan }: BatchNormPlan, weight: Tensor): Tensor {
  const channels = empty({ shape: [3, plan.channels], dtype: 'f32' }, 'statistics')
  launch(
    'batch-norm/running',
    { weight, runningMean, runningVar, channels },
    {
      groups: Math.ceil(vectors / 64),
      shape: { VECTORS: vectors },
      constants: { EPSILON: eps },
    },
  )
  return channels
}

function parameterGradients(
  { pixels, vectors, training, ...plan }: BatchNormPlan,
  given: Readonly<Record<'x' | 'dy' | 'channels' | 'bias', Tensor>>,
  made: Readonly<Record<'dweight' | 'dbias' | 'coefficients', Tensor>>,
  relu: boolean,
): void {
  const { RUN, SLICES, runs } = columnSums(pixels, vectors)
  const partial = { shape: [SLICES, plan.channels], dtype: 'f32' } as const
  const sums = empty(partial, 'sums of runs')
  const products = empty(partial, 'products of runs')
  launch(
    'batch-norm/backward-sums',
    { ...given, sums, products },
    onGrid(runs, {
      shape: { PIXELS: pixels, RUN, VECTORS: vectors, RELU: Number(relu) },
      dtype: plan.dtype,
      detail: plan.detail,
    }),
  )
  launch(
    'batch-norm/backward-finish',
    { sums, products, channels: given.channels, ...made },
    onGrid(perChannel(vectors), {
      constants: { TRAINING: training },
      shape: { PIXELS: pixels, SLICES, CHANNELS: 4 * vectors },
    }),
  )
  release(sums)
  release(products)
}

/** Returns the grid of a sum of few runs, in which each lane has one channel of those that are stored. */
function perChannel(vectors: number): Grid {
  return columnSums(1, 4 * vectors).total
}

/** Launches an element-wise kernel over x. */
function overPixels(
  { pixels, vectors, dtype, detail }: BatchNormPlan,
  name: 'batch-norm/forward' | 'batch-norm/backward-input',
  bindings: Readonly<Record<string, Tensor>>,
  relu: boolean,
  constants: Readonly<Record<string, boolean>> = {},
): void {
  const pass = columnPass(pixels, vectors)
  launch(
    name,
    bindings,
    onGrid(pass, {
      constants,
      shape: { PIXELS: pixels, RUN: pass.RUN, VECTORS: vectors, RELU: Number(relu) },
      dtype,
      detail,
    }),
  )
}

/** Computes dx = dy where y > 0, otherwise 0. */
function masked(y: Tensor, dy: Tensor, dx: Tensor): Tensor {
  launch('relu/backward', { y, dy, dx }, elementwise(dx))
  return dx
}
