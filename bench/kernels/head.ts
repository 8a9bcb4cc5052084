import { softmaxCrossEntropy } from '../../src/ops/cross-entropy.ts'
import { kernelFor } from '../../src/ops/convolution/choices.ts'
import type { ConvolutionSizes } from '../../src/ops/convolution/passes.ts'
import { kernelName } from '../../src/ops/convolution/families.ts'
import { cast } from '../../src/ops/cast.ts'
import { sigmoidCrossEntropy } from '../../src/ops/binary-cross-entropy.ts'
import { absoluteError, huberError, squaredError } from '../../src/ops/regression-errors.ts'
import { linear } from '../../src/ops/linear.ts'
import { softmax } from '../../src/ops/softmax.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { tensor } from '../../src/tensor/read-write.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
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
      ...elementLosses.flatMap((loss) => elementLossCases(loss, N, K)),
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

/** Loss of targets that are numbers, with its formula and slope in an output. */
interface ElementLoss {
  readonly name: string
  readonly loss: (outputs: Tensor, targets: Tensor) => Tensor
  readonly of: (output: number, target: number) => number
  readonly slope: (output: number, target: number) => number
}

const elementLosses: readonly ElementLoss[] = [
  {
    name: 'binary-cross-entropy',
    loss: (outputs, targets) => sigmoidCrossEntropy(outputs, targets),
    of: (x, y) => Math.log1p(Math.exp(x)) - x * y,
    slope: (x, y) => 1 / (1 + Math.exp(-x)) - y,
  },
  {
    name: 'squared-error',
    loss: (outputs, targets) => squaredError(outputs, targets),
    of: (x, y) => (x - y) ** 2,
    slope: (x, y) => 2 * (x - y),
  },
  {
    name: 'absolute-error',
    loss: (outputs, targets) => absoluteError(outputs, targets),
    of: (x, y) => Math.abs(x - y),
    slope: (x, y) => Math.sign(x - y),
  },
  {
    name: 'huber-error',
    loss: (outputs, targets) => huberError(outputs, targets),
    of: (x, y) => (Math.abs(x - y) < 1 ? (x - y) ** 2 / 2 : Math.abs(x - y) - 0.5),
    slope: (x, y) => Math.max(-1, Math.min(1, x - y)),
  },
]

/** Returns the cases of the mean of a loss over [N,K] numbers, and of its gradient. No network of the lesson runs them. */
function elementLossCases({ name, loss, of, slope }: ElementLoss, N: number, K: number): Case[] {
  const what = `[${N},${K}] f32`
  const share = (value: number) => (value + 1) / 2
  return [
    {
      name: `${name}/forward ${what}`,
      uses: [],
      prepare(operands) {
        const outputs = operands.random('logits', [N, K], 'f32')
        // Targets of the binary cross-entropy are probabilities; the others take any number.
        const targets = operands.random('targets', [N, K], 'f32', share)
        return {
          flops: 0,
          bytes: bytesOf(outputs.tensor, targets.tensor),
          run: () => ({ loss: noGrad(() => loss(outputs.tensor, targets.tensor)) }),
          checks: {
            loss: {
              at: () => dot(N * K, (i) => of(outputs.at(i), targets.at(i))) / (N * K),
              allowed: summing(N * K, 'f32'),
              terms: N * K,
            },
          },
        }
      },
    },
    {
      name: `${name}/backward ${what}`,
      uses: [],
      prepare(operands) {
        const outputs = operands.random('logits', [N, K], 'f32')
        const targets = operands.random('targets', [N, K], 'f32', share)
        trainable(outputs.tensor)
        const { backward } = taped(operands, () => loss(outputs.tensor, targets.tensor))
        const dloss = operands.own(tensor([1], []))
        return {
          flops: 0,
          bytes: bytesOf(outputs.tensor, targets.tensor, outputs.tensor),
          run() {
            const [dx] = backward(dloss)
            if (!dx) throw new Error(`${name} gives no gradient`)
            return { dx }
          },
          checks: {
            dx: {
              at: (i) => slope(outputs.at(i), targets.at(i)) / (N * K),
              allowed: rounding('f32'),
              size: 1 / (N * K),
            },
          },
        }
      },
    },
  ]
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
