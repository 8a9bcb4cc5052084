import { add } from '../../src/ops/add.ts'
import { cast } from '../../src/ops/cast.ts'
import { mish } from '../../src/ops/activations.ts'
import { relu } from '../../src/ops/relu.ts'
import { sum } from '../../src/ops/sum.ts'
import { roundToHalf } from '../../src/tensor/half.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { elementCount, type Shape } from '../../src/tensor/shape.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { rounding, summing } from '../../src/testing/measure-kernel.ts'
import { type Case, type Use } from './harness.ts'
import { bytesOf } from '../../src/testing/kernel-operands.ts'
import type { NetworkShapes } from './shapes.ts'
import { taped, trainable } from './taped.ts'

type Float = 'f32' | 'f16'

/**
 * Returns the cases of elementwise passes. Networks run `add` where the gradient of a shortcut meets that of the block;
 * the others, which the batch norm fuses into its own passes or which other networks use, are measured at the largest
 * activation only.
 */
export function elementwiseCases({ norm }: NetworkShapes, dtype: Float): Case[] {
  const joints = norm.filter(({ sizes }) => sizes.then === 'residual')
  const [largest] = [...norm].sort((a, b) => elementCount(b.sizes.shape) - elementCount(a.sizes.shape))
  const { shape } = largest.sizes
  return [
    ...joints.map(({ sizes, uses }) => addCase(sizes.shape, dtype, uses)),
    ...mapCases(
      'relu',
      shape,
      dtype,
      relu,
      (x) => Math.max(0, x),
      (x) => Number(x > 0),
    ),
    ...mapCases('mish', shape, dtype, mish, mishOf, mishSlope),
    castCase(shape, 'f16'),
    castCase(shape, 'f32'),
    sumCase(shape, dtype),
  ]
}

function addCase(shape: Shape, dtype: Float, uses: readonly Use[]): Case {
  return {
    name: `add/forward [${shape.join(',')}] ${dtype}`,
    uses,
    prepare(operands) {
      const [a, b] = ['a', 'b'].map((name) => operands.random(name, shape, dtype))
      return {
        flops: 0,
        bytes: 3 * bytesOf(a.tensor),
        run: () => ({ y: noGrad(() => add(a.tensor, b.tensor)) }),
        checks: { y: { at: (i) => a.at(i) + b.at(i), allowed: rounding(dtype) } },
      }
    },
  }
}

/** Makes the cases of a function of one number, forward and backward. */
export function mapCases(
  name: string,
  shape: Shape,
  dtype: Float,
  operation: (x: Tensor) => Tensor,
  value: (x: number) => number,
  slope: (x: number) => number,
): Case[] {
  const what = `[${shape.join(',')}] ${dtype}`
  return [
    {
      name: `${name}/forward ${what}`,
      uses: [],
      prepare(operands) {
        const x = operands.random('x', shape, dtype)
        return {
          flops: 0,
          bytes: 2 * bytesOf(x.tensor),
          run: () => ({ y: noGrad(() => operation(x.tensor)) }),
          checks: { y: { at: (i) => value(x.at(i)), allowed: rounding(dtype) } },
        }
      },
    },
    {
      name: `${name}/backward ${what}`,
      uses: [],
      prepare(operands) {
        const [x, dy] = ['x', 'dy'].map((operand) => operands.random(operand, shape, dtype))
        trainable(x.tensor)
        const { backward } = taped(operands, () => operation(x.tensor))
        return {
          flops: 0,
          // The backward pass reads the input or the output again.
          bytes: 3 * bytesOf(x.tensor),
          run() {
            const [dx] = backward(dy.tensor)
            if (!dx) throw new Error(`${name} gives no gradient`)
            return { dx }
          },
          checks: { dx: { at: (i) => slope(x.at(i)) * dy.at(i), allowed: rounding(dtype) } },
        }
      },
    },
  ]
}

function castCase(shape: Shape, to: Float): Case {
  const from = to === 'f16' ? 'f32' : 'f16'
  return {
    name: `cast/to-${to} [${shape.join(',')}]`,
    uses: [],
    prepare(operands) {
      const x = operands.random('x', shape, from)
      return {
        flops: 0,
        bytes: bytesOf(x.tensor, { ...x.tensor, dtype: to } as Tensor),
        run: () => ({ y: noGrad(() => cast(x.tensor, to)) }),
        // Exact: rounds to the nearest f16, and back without a change.
        checks: { y: { at: (i) => (to === 'f16' ? roundToHalf(x.at(i)) : x.at(i)), allowed: 0 } },
      }
    },
  }
}

function sumCase(shape: Shape, dtype: Float): Case {
  const count = elementCount(shape)
  return {
    name: `sum/forward [${shape.join(',')}] ${dtype}`,
    uses: [],
    prepare(operands) {
      // Moved off zero, so that the sum is large compared with its rounding errors.
      const x = operands.random('x', shape, dtype, (value) => (value + 1) / 2)
      return {
        flops: 0,
        bytes: bytesOf(x.tensor),
        run: () => ({ y: noGrad(() => sum(x.tensor)) }),
        checks: {
          y: {
            at() {
              let total = 0
              for (let i = 0; i < count; i++) total += x.at(i)
              return total
            },
            allowed: summing(count, 'f32'),
          },
        },
      }
    },
  }
}

function mishOf(x: number): number {
  return x * Math.tanh(Math.log1p(Math.exp(x)))
}

/** Derivative of Mish: tanh(s) + x·(1 − tanh²(s))·sigmoid(x), s = ln(1 + exp(x)). */
function mishSlope(x: number): number {
  const t = Math.tanh(Math.log1p(Math.exp(x)))
  return t + (x * (1 - t ** 2)) / (1 + Math.exp(-x))
}
