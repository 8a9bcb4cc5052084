import { softmaxCrossEntropy } from '../../src/ops/cross-entropy.ts'
import { kernelFor } from '../../src/ops/convolution/choices.ts'
import type { ConvolutionSizes } from '../../src/ops/convolution/passes.ts'
import { kernelName } from '../../src/ops/convolution/families.ts'
import { cast } from '../../src/ops/cast.ts'
import { linear } from '../../src/ops/linear.ts'
import { softmax } from '../../src/ops/softmax.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { tensor } from '../../src/tensor/read-write.ts'
import { rounding, summing } from '../../src/testing/measure-kernel.ts'
import { type Case, type Use } from './harness.ts'
import { bytesOf, type KernelOperand } from '../../src/testing/kernel-operands.ts'
import type { NetworkShapes } from './shapes.ts'
import { taped, trainable } from './taped.ts'

type Float = 'f32' | 'f16'

/** Returns the cases of the end of a network: the linear layer, the loss on f32 logits, and probabilities. */
export function headCases({ linear: linears }: NetworkShapes, dtype: Float): Case[] {
  // Networks of different widths may share a shape of logits.
  const logits = new Map<string, { N: number; K: number; uses: readonly Use[] }>()
  for (const {
    sizes: { N, O },
    uses,
  } of linears) {
    const before = logits.get(`${N},${O}`)?.uses ?? []
    logits.set(`${N},${O}`, { N, K: O, uses: [...before, ...uses] })
  }
  return [
    ...linears.flatMap(({ sizes: { N, C, O }, uses }) => linearCases(N, C, O, dtype, uses)),
    ...[...logits.values()].flatMap(({ N, K, uses }) => [
      ...lossCases(N, K, uses),
      softmaxCase(N, K),
      logitsCase(N, K, uses),
    ]),
  ]
}

function linearCases(N: number, C: number, O: number, dtype: Float, uses: readonly Use[]): Case[] {
  const what = `[${N},${C}]→[${N},${O}] ${dtype}`
  const sizes: ConvolutionSizes = { N, H: 1, W: 1, C, P: 1, Q: 1, O, R: 1, S: 1, STRIDE: 1, PAD: 0, dtype }
  return [
    {
      name: `linear/forward ${what}`,
      uses,
      convolution: sizes,
      prepare(operands) {
        const [x, weight] = [operands.random('x', [N, C], dtype), operands.random('weight', [O, C], dtype)]
        const bias = operands.random('bias', [O], 'f32')
        const y = operands.result([N, O], dtype)
        return {
          flops: 2 * N * C * O,
          bytes: bytesOf(x.tensor, weight.tensor, bias.tensor, y),
          kernel: kernelName(kernelFor('forward', sizes)),
          run: () => ({ y: noGrad(() => linear(x.tensor, weight.tensor, bias.tensor)) }),
          checks: {
            y: {
              at: (i) => dot(C, (c) => x.at(Math.floor(i / O) * C + c) * weight.at((i % O) * C + c)) + bias.at(i % O),
              // The bias is added to a sum that has been rounded for storage already.
              allowed: 2 * summing(C, dtype),
              terms: C,
            },
          },
        }
      },
    },
    {
      name: `linear/backward ${what}`,
      uses,
      convolution: sizes,
      prepare(operands) {
        const [x, weight] = [operands.random('x', [N, C], dtype), operands.random('weight', [O, C], dtype)]
        const bias = operands.random('bias', [O], 'f32')
        const dy = operands.random('dy', [N, O], dtype)
        trainable(x.tensor, weight.tensor, bias.tensor)
        // The gradient of a weight is f32 for every storage type of the weight.
        const dweight = operands.result([O, C], 'f32')
        const { backward } = taped(operands, () => linear(x.tensor, weight.tensor, bias.tensor))
        return {
          flops: 4 * N * C * O,
          bytes: bytesOf(x.tensor, weight.tensor, dy.tensor, dy.tensor, x.tensor, dweight, bias.tensor),
          kernel: BACKWARD.map((pass) => kernelName(kernelFor(pass, sizes))).join(' and '),
          run() {
            const [dx, dw, dbias] = backward(dy.tensor)
            if (!dx || !dw || !dbias) throw new Error('linear gives no gradient')
            return { dx, dw, dbias }
          },
          checks: {
            dx: {
              at: (i) => dot(O, (o) => dy.at(Math.floor(i / C) * O + o) * weight.at(o * C + (i % C))),
              allowed: summing(O, dtype),
              terms: O,
            },
            dw: {
              at: (i) => dot(N, (n) => dy.at(n * O + Math.floor(i / C)) * x.at(n * C + (i % C))),
              allowed: summing(N, 'f32'),
              terms: N,
            },
            dbias: { at: (o) => dot(N, (n) => dy.at(n * O + o)), allowed: summing(N, 'f32'), terms: N },
          },
        }
      },
    },
  ]
}

const BACKWARD = ['backward-weight', 'backward-input'] as const

function dot(count: number, product: (i: number) => number): number {
  let sum = 0
  for (let i = 0; i < count; i++) sum += product(i)
  return sum
}

function lossCases(N: number, K: number, uses: readonly Use[]): Case[] {
  const what = `[${N},${K}] f32`
  return [
    {
      name: `cross-entropy/forward ${what}`,
      uses,
      prepare(operands) {
        const [logits, a] = [operands.random('logits', [N, K], 'f32'), operands.labels('labels', N, K)]
        const mean = () => dot(N, (n) => -Math.log(probability(logits, K, n, a.at(n)))) / N
        return {
          flops: 0,
          bytes: bytesOf(logits.tensor, a.tensor),
          run: () => ({ loss: noGrad(() => softmaxCrossEntropy(logits.tensor, { a: a.tensor })) }),
          checks: { loss: { at: mean, allowed: rounding('f32') } },
        }
      },
    },
    {
      name: `cross-entropy/backward ${what}`,
      uses,
      prepare(operands) {
        const [logits, a] = [operands.random('logits', [N, K], 'f32'), operands.labels('labels', N, K)]
        const scale = 65536
        const seed = operands.own(tensor([scale], []))
        trainable(logits.tensor)
        const { extras, backward } = taped(operands, () => softmaxCrossEntropy(logits.tensor, { a: a.tensor }))
        return {
          flops: 0,
          bytes: bytesOf(logits.tensor, a.tensor, logits.tensor, ...extras),
          run() {
            const [dlogits] = backward(seed)
            if (!dlogits) throw new Error('cross-entropy gives no gradient')
            return { dlogits }
          },
          checks: {
            dlogits: {
              at(i) {
                const [n, k] = [Math.floor(i / K), i % K]
                return ((probability(logits, K, n, k) - Number(a.at(n) === k)) * scale) / N
              },
              allowed: rounding('f32'),
              terms: K,
            },
          },
        }
      },
    },
  ]
}

function softmaxCase(N: number, K: number): Case {
  return {
    name: `softmax/forward [${N},${K}] f32`,
    uses: [],
    prepare(operands) {
      const x = operands.random('logits', [N, K], 'f32')
      return {
        flops: 0,
        bytes: bytesOf(x.tensor, x.tensor),
        run: () => ({ y: softmax(x.tensor) }),
        checks: { y: { at: (i) => probability(x, K, Math.floor(i / K), i % K), allowed: rounding('f32'), terms: K } },
      }
    },
  }
}

/** Makes the case of converting logits to f32 before the loss in mixed precision. */
function logitsCase(N: number, K: number, uses: readonly Use[]): Case {
  return {
    name: `cast/to-f32 [${N},${K}]`,
    uses,
    prepare(operands) {
      const x = operands.random('logits', [N, K], 'f16')
      return {
        flops: 0,
        bytes: 3 * bytesOf(x.tensor),
        run: () => ({ y: noGrad(() => cast(x.tensor, 'f32')) }),
        checks: { y: { at: (i) => x.at(i), allowed: 0 } },
      }
    },
  }
}

function probability(logits: KernelOperand, K: number, row: number, k: number): number {
  let sum = 0
  for (let i = 0; i < K; i++) sum += Math.exp(logits.at(row * K + i))
  return Math.exp(logits.at(row * K + k)) / sum
}
