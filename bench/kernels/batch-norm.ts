import { batchNorm } from '../../src/ops/batch-norm.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { elementCount, type Shape } from '../../src/tensor/shape.ts'
import { rounding, summing } from '../../src/testing/measure-kernel.ts'
import { type Case, type Use } from './harness.ts'
import { bytesOf, type KernelOperand, type KernelOperands } from '../../src/testing/kernel-operands.ts'
import type { FollowUp, NetworkShapes } from './shapes.ts'
import { taped, trainable } from './taped.ts'

type Float = 'f32' | 'f16'

export function batchNormCases({ norm }: NetworkShapes, dtype: Float): Case[] {
  return norm.flatMap(({ sizes: { shape, then }, uses }) => {
    return [forwardCase(shape, then, dtype, uses), backwardCase(shape, then, dtype, uses)]
  })
}

function nameOf(pass: string, shape: Shape, then: FollowUp, dtype: Float): string {
  const with_ = { nothing: '', relu: ' relu', residual: ' + residual relu' }[then]
  return `batch-norm/${pass} [${shape.join(',')}]${with_} ${dtype}`
}

function forwardCase(shape: Shape, then: FollowUp, dtype: Float, uses: readonly Use[]): Case {
  return {
    name: nameOf('forward', shape, then, dtype),
    uses,
    prepare(operands) {
      const problem = new Problem(operands, shape, then, dtype)
      const { x, residual } = problem
      return {
        flops: 0,
        bytes: bytesOf(x.tensor, x.tensor, ...(residual ? [residual.tensor] : [])),
        run: () => ({ y: noGrad(() => problem.forward()) }),
        checks: { y: { at: (place) => problem.y(place), allowed: rounding(dtype), terms: 2 * problem.pixels } },
      }
    },
  }
}

function backwardCase(shape: Shape, then: FollowUp, dtype: Float, uses: readonly Use[]): Case {
  return {
    name: nameOf('backward', shape, then, dtype),
    uses,
    prepare(operands) {
      const problem = new Problem(operands, shape, then, dtype)
      const { x, dy, residual, pixels } = problem
      trainable(x.tensor, problem.weight.tensor, problem.bias.tensor, ...(residual ? [residual.tensor] : []))
      const tape = taped(operands, () => problem.forward())
      // With a residual, the mask is that of the sum, so the output is read and its gradient written.
      const more = residual ? [tape.output, residual.tensor] : []
      const terms = 4 * pixels
      return {
        flops: 0,
        bytes: bytesOf(x.tensor, dy.tensor, x.tensor, ...more),
        run() {
          const [dx, dweight, dbias, dresidual] = tape.backward(dy.tensor)
          if (!dx || !dweight || !dbias) throw new Error('batch norm gives no gradient')
          return { dx, dweight, dbias, ...(residual && dresidual ? { dresidual } : {}) }
        },
        checks: {
          dx: { at: (place) => problem.dx(place), allowed: rounding(dtype), size: 1, terms },
          // Its terms are rounded before they are summed.
          dweight: {
            at: (channel) => problem.sums(channel)?.weight,
            allowed: rounding('f32') + summing(pixels, 'f32'),
            terms,
          },
          dbias: { at: (channel) => problem.sums(channel)?.bias, allowed: summing(pixels, 'f32'), terms },
          ...(residual
            ? { dresidual: { at: (place: number) => problem.masked(place), allowed: rounding(dtype) } }
            : {}),
        },
      }
    },
  }
}

/** Default eps of the library. */
const EPSILON = 1e-5
/** Distance from a ReLU's kink below which rounding, such as that of the mean, decides the result. */
const KINK = 1e-4

function eighths(value: number): number {
  return Math.round(8 * value) / 8
}

/** Operands of the operation and its formulas in double precision, one channel at a time. */
class Problem {
  readonly x: KernelOperand
  readonly dy: KernelOperand
  readonly weight: KernelOperand
  readonly bias: KernelOperand
  readonly residual: KernelOperand | undefined
  readonly pixels: number
  readonly forward: () => ReturnType<typeof batchNorm>
  private readonly channels: number
  private readonly relu: boolean
  private readonly known = new Map<number, { mean: number; deviation: number }>()
  private readonly knownSums = new Map<number, { weight: number; bias: number } | undefined>()

  constructor(operands: KernelOperands, shape: Shape, then: FollowUp, dtype: Float) {
    this.channels = shape[shape.length - 1]
    this.pixels = elementCount(shape) / this.channels
    this.relu = then !== 'nothing'
    // Few values, so that in few channels one lies at the kink of the ReLU; off zero, so that the mean matters.
    this.x = operands.random('x', shape, dtype, (value) => Math.round(8 * value) / 16 + 0.5)
    this.dy = operands.random('dy', shape, dtype)
    this.residual = then === 'residual' ? operands.random('residual', shape, dtype, eighths) : undefined
    this.weight = operands.random('weight', [this.channels], 'f32')
    this.bias = operands.random('bias', [this.channels], 'f32')
    const options = {
      runningMean: operands.result([this.channels], 'f32'),
      runningVar: operands.result([this.channels], 'f32'),
      training: true,
      residual: this.residual?.tensor,
      relu: this.relu,
      eps: EPSILON,
    }
    this.forward = () => batchNorm(this.x.tensor, this.weight.tensor, this.bias.tensor, options)
  }

  y(place: number): number {
    const sum = this.beforeRelu(place)
    return this.relu ? Math.max(0, sum) : sum
  }

  /** Gradient after the mask of the ReLU; `undefined` at its kink. */
  masked(place: number): number | undefined {
    if (!this.relu) return this.dy.at(place)
    const sum = this.beforeRelu(place)
    if (Math.abs(sum) < KINK) return undefined
    return sum > 0 ? this.dy.at(place) : 0
  }

  /** Computes dweight = Σ g·x̂ and dbias = Σ g of a channel. */
  sums(channel: number): { weight: number; bias: number } | undefined {
    if (this.knownSums.has(channel)) return this.knownSums.get(channel)
    const made = this.addUp(channel)
    this.knownSums.set(channel, made)
    return made
  }

  /** Computes dx = weight/σ · (g − dbias/M − x̂·dweight/M). */
  dx(place: number): number | undefined {
    const channel = place % this.channels
    const g = this.masked(place)
    const sums = this.sums(channel)
    if (g === undefined || !sums) return undefined
    const { weight, bias } = sums
    const scale = this.weight.at(channel) / this.statistics(channel).deviation
    return scale * (g - bias / this.pixels - (this.normalized(place) * weight) / this.pixels)
  }

  private beforeRelu(place: number): number {
    const channel = place % this.channels
    return this.normalized(place) * this.weight.at(channel) + this.bias.at(channel) + (this.residual?.at(place) ?? 0)
  }

  private normalized(place: number): number {
    const { mean, deviation } = this.statistics(place % this.channels)
    return (this.x.at(place) - mean) / deviation
  }

  private statistics(channel: number): { mean: number; deviation: number } {
    const known = this.known.get(channel)
    if (known) return known
    let [sum, squares] = [0, 0]
    for (let i = 0; i < this.pixels; i++) sum += this.x.at(i * this.channels + channel)
    const mean = sum / this.pixels
    for (let i = 0; i < this.pixels; i++) squares += (this.x.at(i * this.channels + channel) - mean) ** 2
    const made = { mean, deviation: Math.sqrt(squares / this.pixels + EPSILON) }
    this.known.set(channel, made)
    return made
  }

  private addUp(channel: number): { weight: number; bias: number } | undefined {
    const sums = { weight: 0, bias: 0 }
    for (let i = 0; i < this.pixels; i++) {
      const place = i * this.channels + channel
      const g = this.masked(place)
      if (g === undefined) return undefined
      sums.weight += g * this.normalized(place)
      sums.bias += g
    }
    return sums
  }
}
