import { requireNumber } from '../../base/check.ts'
import { DtypeError, ShapeError } from '../../base/errors.ts'
import { formatShape } from '../../base/format.ts'
import { empty, launch, storageDtype } from '../../tensor/launch.ts'
import { release } from '../../tensor/scope.ts'
import { padTo4, sameShape } from '../../tensor/shape.ts'
import type { Passes } from '../../tensor/load-with-gpu.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { sumInto } from './sum-into.ts'
import '../../gpu/wgsl/element-loss/index.ts'
import '../../gpu/wgsl/sum/rows.ts'

/** Reduction of the losses of single outputs: 'rows' is the mean of each row, [N]; 'none' leaves them, [N,K]. */
export type ElementReduction = 'mean' | 'sum' | 'rows' | 'none'

/** Outputs, targets, and where there are any the weights of columns and of their positive targets. */
export type ElementInputs = readonly [
  outputs: Tensor,
  targets: Tensor,
  weight: Tensor | undefined,
  positive: Tensor | undefined,
]

/** Options of an operation of this kind. */
export interface ElementOptions {
  readonly reduction?: ElementReduction | undefined
  readonly delta?: number | undefined
  readonly smooth?: boolean | undefined
}

/** Launches of one call. */
export interface ElementPlan {
  readonly N: number
  readonly K: number
  readonly COLUMNS: number
  readonly reduction: ElementReduction
  readonly constants: {
    readonly KIND: number
    readonly WEIGHTED: boolean
    readonly POSITIVE: boolean
    readonly BETA: number
    readonly SCALE: number
  }
  readonly dtype: 'f32' | 'f16'
  readonly detail: string
}

/** Values of KIND in shaders/element-loss. */
const KINDS = { crossEntropy: 0, squared: 1, absolute: 2, huber: 3 } as const

/** Checks and launches of an operation that compares each output with a target of its own (shaders/element-loss). */
export function elementPasses(
  name: string,
  kind: keyof typeof KINDS,
): Passes<ElementInputs, ElementOptions, ElementPlan> {
  return {
    plan([outputs, targets, weight, positive], { reduction = 'mean', delta = 1, smooth = false }) {
      const [N, K] = requireMatrices(name, outputs, targets)
      for (const [what, each] of Object.entries({ weight, positive })) {
        if (each) requireColumns(name, what, each, outputs)
      }
      requireNumber(name, 'delta', delta, { above: 0 })
      return {
        N,
        K,
        COLUMNS: padTo4(K) / 4,
        reduction,
        constants: {
          KIND: KINDS[kind],
          WEIGHTED: weight !== undefined,
          POSITIVE: positive !== undefined,
          BETA: delta,
          SCALE: smooth ? 1 / delta : 1,
        },
        dtype: storageDtype(outputs),
        detail: formatShape([N, K]),
      }
    },

    forward(
      { N, K, COLUMNS, reduction, constants, dtype, detail },
      [outputs, targets, weight = unread(), positive = unread()],
    ) {
      const losses = empty({ shape: [N, K], dtype: 'f32' }, 'losses')
      const VECTORS = N * COLUMNS
      launch(
        'element-loss/forward',
        { outputs, targets, weight, positive, losses },
        { groups: Math.ceil(VECTORS / 64), shape: { VECTORS, COLUMNS, K }, constants, dtype, detail },
      )
      if (reduction === 'none') return losses
      const reduced = empty({ shape: reduction === 'rows' ? [N] : [], dtype: 'f32' }, 'loss')
      if (reduction === 'rows') {
        launch('sum/rows', { x: losses, y: reduced }, { groups: Math.ceil(padTo4(N) / 64), shape: { N, K, COLUMNS } })
      } else {
        sumInto(reduced, losses, reduction === 'mean' ? N * K : 1)
      }
      release(losses)
      return reduced
    },

    backward(
      { N, K, COLUMNS, reduction, constants, dtype, detail },
      dloss,
      { inputs: [outputs, targets, weight = unread(), positive = unread()] },
      _needs,
      target,
    ) {
      const doutputs = target(0)
      const VECTORS = N * COLUMNS
      const DIVISOR = { mean: N * K, sum: 1, rows: K, none: 1 }[reduction]
      const REDUCTION = { none: 0, rows: 1, mean: 2, sum: 2 }[reduction]
      launch(
        'element-loss/backward',
        { outputs, targets, weight, positive, dloss, doutputs },
        {
          groups: Math.ceil(VECTORS / 64),
          shape: { VECTORS, COLUMNS, K, DIVISOR },
          constants: { ...constants, REDUCTION },
          dtype,
          detail,
        },
      )
      return [doutputs]
    },
  }
}

/** Returns the tensor to bind in place of one that is not read. */
const unread = () => empty({ shape: [4], dtype: 'f32' }, 'not read')

function requireMatrices(where: string, outputs: Tensor, targets: Tensor): readonly [N: number, K: number] {
  if (outputs.shape.length !== 2) {
    throw new ShapeError(where, 'the outputs must be a matrix', { given: { outputs }, expected: 'outputs as [N,K]' })
  }
  const [N, K] = outputs.shape
  const wrong = {
    given: { outputs, targets },
    expected: `${formatShape({ shape: [N, K], dtype: 'f32' })}, one number per output`,
  }
  if (!sameShape(targets.shape, outputs.shape)) {
    throw new ShapeError(where, 'the targets do not fit the outputs', wrong)
  }
  if (targets.dtype !== 'f32') throw new DtypeError(where, 'the targets have the wrong type', wrong)
  return [N, K]
}

function requireColumns(where: string, what: string, weights: Tensor, outputs: Tensor): void {
  const [, K] = outputs.shape
  const wrong = {
    given: { outputs, [what]: weights },
    expected: `${formatShape({ shape: [K], dtype: 'f32' })}, one per column of the outputs`,
  }
  if (weights.shape.length !== 1 || weights.shape[0] !== K) {
    throw new ShapeError(where, `${what} does not fit the outputs`, wrong)
  }
  if (weights.dtype !== 'f32') throw new DtypeError(where, `${what} has the wrong type`, wrong)
}
