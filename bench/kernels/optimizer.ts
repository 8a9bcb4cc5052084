import type { Module } from '../../src/nn/module.ts'
import { Parameter } from '../../src/nn/parameter.ts'
import { adam } from '../../src/optim/adam.ts'
import { buffersOf } from '../../src/optim/flat.ts'
import { LossScaler } from '../../src/optim/loss-scaler.ts'
import { radam } from '../../src/optim/radam.ts'
import { sgd } from '../../src/optim/sgd.ts'
import type { Hyperparameters, OptimizerFactory } from '../../src/optim/optimizer.ts'
import { copy } from '../../src/tensor/launch.ts'
import { markChecked } from '../../src/tensor/overflow.ts'
import { release } from '../../src/tensor/scope.ts'
import { rounding } from '../../src/testing/measure-kernel.ts'
import { type Case, type Use } from './harness.ts'
import type { KernelOperand } from '../../src/testing/kernel-operands.ts'

/** First step of an optimizer for one number, in double precision; g is the gradient without the loss scale. */
interface Algorithm {
  readonly factory: OptimizerFactory
  /** Numbers of f32 that a step reads, and writes, per number of a parameter; the f16 copy is counted separately. */
  readonly read: number
  readonly written: number
  step(p: number, g: number, hyperparameters: Hyperparameters): number
}

const HYPERS: Hyperparameters = { lr: 3e-3, momentum: 0.9, weightDecay: 0.01 }
const SCALE = 65536
const EPSILON = 1e-5

const ALGORITHMS: Readonly<Record<string, Algorithm>> = {
  // Without their bias, the first moments are the gradient and its square.
  adam: {
    factory: adam({ eps: EPSILON }),
    read: 4,
    written: 3,
    step: (p, g, { lr }) => p - (lr * g) / (Math.abs(g) + EPSILON),
  },
  // The step is too early for the second moments.
  radam: { factory: radam(), read: 4, written: 3, step: (p, g, { lr }) => p - lr * g },
  sgd: { factory: sgd({ momentum: HYPERS.momentum }), read: 3, written: 2, step: (p, g, { lr }) => p - lr * g },
}

/**
 * Returns the case of one step of all parameters in mixed precision, as in training: the factors, the update with f16
 * copies, and the next loss scale. The check for infinities is part of backward.
 */
export function optimizerCases(network: string, model: Module, uses: readonly Use[]): Case[] {
  // The lesson trains with Adam.
  return Object.entries(ALGORITHMS).map(([kind, algorithm]) => {
    return optimizerCase(kind, algorithm, network, model, kind === 'adam' ? uses : [])
  })
}

function optimizerCase(
  kind: string,
  { factory, read, written, step }: Algorithm,
  network: string,
  model: Module,
  uses: readonly Use[],
): Case {
  const shapes = model.parameters()
  const count = shapes.reduce((sum, parameter) => sum + parameter.count, 0)
  return {
    name: `optim/${kind} ${network}, ${(count / 1e6).toFixed(1)} M parameters`,
    uses,
    prepare(operands) {
      const largest = shapes.reduce((a, b) => (b.count > a.count ? b : a))
      const start = operands.random('parameter', largest.shape, 'f32')
      const gradient = operands.random('gradient', largest.shape, 'f32', large)
      const parameters = shapes.map((parameter) => {
        return new Parameter(parameter.path, parameter.shape, parameter.kind, () => numbersOf(start, parameter.count))
      })
      const optimizer = factory([parameters])
      optimizer.setHyperparameters([HYPERS])
      optimizer.keepF16Copies()
      const scaler = new LossScaler({ mixed: true })
      for (const { leaf, shape } of parameters) {
        if (!leaf.gradient) throw new Error('the optimizer has placed no gradient')
        const part = operands.random('gradient', shape, 'f32', large)
        copy(part.tensor, leaf.gradient)
        leaf.hasGradient = true
        markChecked(leaf.gradient, true)
      }
      operands.after(() => {
        for (const { values, gradients, owners, f16Copies } of buffersOf(parameters).chunks) {
          for (const made of [values, gradients, owners, f16Copies]) if (made) release(made)
        }
        optimizer.close()
        scaler.close()
      })
      const watched = parameters[shapes.indexOf(largest)]
      const decay = 1 - HYPERS.lr * HYPERS.weightDecay
      const stepped = (i: number) => step(start.at(i) * decay, gradient.at(i) / SCALE, HYPERS)
      return {
        flops: 0,
        // A number in f16 has two bytes.
        bytes: count * (4 * (read + written) + 2),
        run() {
          optimizer.step(scaler)
          return { [largest.path]: watched.value, ...(watched.f16Copy ? { half: watched.f16Copy } : {}) }
        },
        checks: {
          [largest.path]: { at: stepped, allowed: rounding('f32') },
          half: { at: stepped, allowed: rounding('f16') },
        },
      }
    },
  }
}

/** Moves a number away from 0, where the direction of Adam's first step would depend on rounding. */
function large(value: number): number {
  return Math.sign(value) * (Math.abs(value) + 0.1) * SCALE
}

function numbersOf(operand: KernelOperand, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => operand.at(i))
}
