import { gelu, hardSwish } from '../../src/ops/activations.ts'
import { conv2d } from '../../src/ops/conv2d.ts'
import { groupedFlops, type GroupedSizes } from '../../src/ops/convolution/grouped.ts'
import { describeSizes } from '../../src/ops/convolution/sizes.ts'
import { dropImages } from '../../src/ops/drop-images.ts'
import { layerNorm } from '../../src/ops/layer-norm.ts'
import { mul } from '../../src/ops/mul.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { elementCount, windowOutput, type Shape } from '../../src/tensor/shape.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { unravel } from '../../src/testing/convolution-case.ts'
import { mapCases } from './elementwise.ts'
import { bytesOf, type KernelOperand, type KernelOperands } from '../../src/testing/kernel-operands.ts'
import { rounding, summing, type PreparedKernel } from '../../src/testing/measure-kernel.ts'
import type { Case } from './harness.ts'
import { taped, trainable } from './taped.ts'

type Float = 'f32' | 'f16'

/**
 * Returns the cases of kernels that no xresnet runs, at shapes of the networks which do: depthwise convolutions of MobileNetV2
 * (3×3) and ConvNeXt-Tiny (7×7), the grouped one of ResNeXt-50, and the layer norm, activation and products around them.
 */
export function layerCases(batch: number, size: number, dtype: Float): Case[] {
  const side = (by: number) => Math.max(1, Math.floor(size / by))
  const depthwise = (by: number, C: number, R: number, STRIDE: number) =>
    sizesOf({ N: batch, side: side(by), C, R, STRIDE, GROUPS: C, dtype })
  const convolutions = [
    depthwise(2, 32, 3, 1),
    depthwise(2, 96, 3, 2),
    depthwise(4, 144, 3, 1),
    depthwise(16, 384, 3, 1),
    depthwise(4, 96, 7, 1),
    depthwise(16, 384, 7, 1),
    sizesOf({ N: batch, side: side(4), C: 128, R: 3, STRIDE: 1, GROUPS: 32, dtype }),
  ]
  const narrow = [batch, side(4), side(4), 96]
  const wide = [batch, side(16), side(16), 384]
  return [
    ...convolutions.flatMap(convolutionCases),
    ...[narrow, wide].flatMap((shape) => layerNormCases(shape, dtype)),
    ...mapCases('gelu', wide, dtype, (x) => gelu(x), geluOf, geluSlope),
    ...mapCases('hardSwish', wide, dtype, hardSwish, hardSwishOf, (x) => x / 3 + 0.5),
    ...productCases(narrow, dtype),
  ]
}

function sizesOf(given: {
  readonly N: number
  readonly side: number
  readonly C: number
  readonly R: number
  readonly STRIDE: number
  readonly GROUPS: number
  readonly dtype: Float
}): GroupedSizes {
  const { side, C, R, STRIDE, ...rest } = given
  const PAD = R >> 1
  const P = windowOutput(side, R, STRIDE, PAD)
  return { ...rest, H: side, W: side, C, P, Q: P, O: C, R, S: R, STRIDE, PAD, DILATION: 1 }
}

/** Sums over every tap that connects an element of the result with the operands. */
const SUMS = {
  forward(
    { H, W, C, P, Q, O, R, S, STRIDE, PAD, GROUPS }: GroupedSizes,
    x: KernelOperand,
    weight: KernelOperand,
    place: number,
  ) {
    const [n, p, q, o] = unravel(place, [P, Q, O])
    const channels = C / GROUPS
    let sum = 0
    for (let r = 0; r < R; r++) {
      for (let s = 0; s < S; s++) {
        const [h, w] = [p * STRIDE + r - PAD, q * STRIDE + s - PAD]
        if (h < 0 || w < 0 || h >= H || w >= W) continue
        for (let c = 0; c < channels; c++) {
          const first = Math.floor(o / (O / GROUPS)) * channels
          sum += x.at(((n * H + h) * W + w) * C + first + c) * weight.at(((o * R + r) * S + s) * channels + c)
        }
      }
    }
    return sum
  },
  'backward-input'(sizes: GroupedSizes, dy: KernelOperand, weight: KernelOperand, place: number) {
    const { H, W, C, P, Q, O, R, S, STRIDE, PAD, GROUPS } = sizes
    const [n, h, w, c] = unravel(place, [H, W, C])
    const [channels, outs] = [C / GROUPS, O / GROUPS]
    let sum = 0
    for (let r = 0; r < R; r++) {
      for (let s = 0; s < S; s++) {
        const [p, q] = [(h + PAD - r) / STRIDE, (w + PAD - s) / STRIDE]
        if (!Number.isInteger(p) || !Number.isInteger(q) || p < 0 || q < 0 || p >= P || q >= Q) continue
        for (let k = 0; k < outs; k++) {
          const o = Math.floor(c / channels) * outs + k
          sum += dy.at(((n * P + p) * Q + q) * O + o) * weight.at(((o * R + r) * S + s) * channels + (c % channels))
        }
      }
    }
    return sum
  },
  'backward-weight'(sizes: GroupedSizes, x: KernelOperand, dy: KernelOperand, place: number) {
    const { N, H, W, C, P, Q, O, R, S, STRIDE, PAD, GROUPS } = sizes
    const channels = C / GROUPS
    const [o, r, s, c] = unravel(place, [R, S, channels])
    const first = Math.floor(o / (O / GROUPS)) * channels
    let sum = 0
    for (let pixel = 0; pixel < N * P * Q; pixel++) {
      const [h, w] = [(Math.floor(pixel / Q) % P) * STRIDE + r - PAD, (pixel % Q) * STRIDE + s - PAD]
      if (h < 0 || w < 0 || h >= H || w >= W) continue
      sum += x.at(((Math.floor(pixel / (P * Q)) * H + h) * W + w) * C + first + c) * dy.at(pixel * O + o)
    }
    return sum
  },
} as const

function convolutionCases(sizes: GroupedSizes): Case[] {
  const { N, H, W, C, P, Q, O, R, S, STRIDE, PAD, GROUPS, dtype } = sizes
  const folder = GROUPS === C ? 'depthwise' : 'grouped-conv'
  const shapes = { x: [N, H, W, C], weight: [O, R, S, C / GROUPS], dy: [N, P, Q, O] } as const
  const what = `${describeSizes(sizes)}${STRIDE > 1 ? ` /${STRIDE}` : ''} ${dtype}`
  const taps = (R * S * C) / GROUPS
  const convolve = (x: Tensor, weight: Tensor) => conv2d(x, weight, { stride: STRIDE, padding: PAD, groups: GROUPS })
  const one = (
    pass: keyof typeof SUMS,
    prepare: (operands: KernelOperands) => Omit<PreparedKernel, 'flops'>,
  ): Case => ({
    name: `${folder}/${pass} ${what}`,
    uses: [],
    prepare: (operands) => ({ flops: groupedFlops(sizes), ...prepare(operands) }),
  })
  const random = (operands: KernelOperands, name: keyof typeof shapes) => operands.random(name, shapes[name], dtype)
  return [
    one('forward', (operands) => {
      const [x, weight] = [random(operands, 'x'), random(operands, 'weight')]
      const y = operands.result([N, P, Q, O], dtype)
      return {
        bytes: bytesOf(x.tensor, weight.tensor, y),
        run: () => ({ y: noGrad(() => convolve(x.tensor, weight.tensor)) }),
        checks: { y: { at: (i) => SUMS.forward(sizes, x, weight, i), allowed: summing(taps, dtype), terms: taps } },
      }
    }),
    one('backward-input', (operands) => {
      const [x, weight, dy] = [random(operands, 'x'), random(operands, 'weight'), random(operands, 'dy')]
      trainable(x.tensor)
      const { backward } = taped(operands, () => convolve(x.tensor, weight.tensor))
      return {
        bytes: bytesOf(x.tensor, weight.tensor, dy.tensor),
        run: () => ({ dx: gradient(backward(dy.tensor), 0) }),
        checks: {
          dx: { at: (i) => SUMS['backward-input'](sizes, dy, weight, i), allowed: summing(taps, dtype), terms: taps },
        },
      }
    }),
    one('backward-weight', (operands) => {
      const [x, weight, dy] = [random(operands, 'x'), random(operands, 'weight'), random(operands, 'dy')]
      trainable(weight.tensor)
      const { backward } = taped(operands, () => convolve(x.tensor, weight.tensor))
      const dw = operands.result(shapes.weight, 'f32')
      const pixels = N * P * Q
      return {
        bytes: bytesOf(x.tensor, dy.tensor, dw),
        run: () => ({ dw: gradient(backward(dy.tensor), 1) }),
        checks: {
          dw: {
            at: (i) => SUMS['backward-weight'](sizes, x, dy, i),
            allowed: summing(pixels, 'f32'),
            terms: pixels,
          },
        },
      }
    }),
  ]
}

function gradient(gradients: readonly (Tensor | undefined)[], input: number): Tensor {
  const found = gradients[input]
  if (!found) throw new Error(`bench: input ${input} has no gradient`)
  return found
}

function layerNormCases(shape: Shape, dtype: Float): Case[] {
  const C = shape[shape.length - 1]
  const what = `[${shape.join(',')}] ${dtype}`
  const inputs = (operands: KernelOperands) => {
    const x = operands.random('x', shape, dtype)
    const weight = operands.random('weight', [C], 'f32', (value) => value + 2)
    return { x, weight, bias: operands.random('bias', [C], 'f32') }
  }
  /** Mean and 1 / √(variance + eps) of the row of an element. */
  const rowOf = (x: KernelOperand, place: number) => {
    const first = place - (place % C)
    const values = Array.from({ length: C }, (_, c) => x.at(first + c))
    const mean = values.reduce((sum, value) => sum + value, 0) / C
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / C
    return { first, mean, inverse: 1 / Math.sqrt(variance + 1e-5) }
  }
  return [
    {
      name: `layer-norm/forward ${what}`,
      uses: [],
      prepare(operands) {
        const { x, weight, bias } = inputs(operands)
        const at = (place: number) => {
          const { mean, inverse } = rowOf(x, place)
          return (x.at(place) - mean) * inverse * weight.at(place % C) + bias.at(place % C)
        }
        return {
          flops: 0,
          bytes: 2 * bytesOf(x.tensor),
          run: () => ({ y: noGrad(() => layerNorm(x.tensor, weight.tensor, bias.tensor)) }),
          checks: { y: { at, allowed: rounding(dtype), terms: C } },
        }
      },
    },
    {
      name: `layer-norm/backward ${what}`,
      uses: [],
      prepare(operands) {
        const { x, weight, bias } = inputs(operands)
        const dy = operands.random('dy', shape, dtype)
        trainable(x.tensor, weight.tensor, bias.tensor)
        const { backward } = taped(operands, () => layerNorm(x.tensor, weight.tensor, bias.tensor))
        const rows = elementCount(shape) / C
        const at = (place: number) => {
          const { first, mean, inverse } = rowOf(x, place)
          let [sum, product] = [0, 0]
          for (let c = 0; c < C; c++) {
            const g = dy.at(first + c) * weight.at(c)
            sum += g
            product += g * (x.at(first + c) - mean) * inverse
          }
          const normalized = (x.at(place) - mean) * inverse
          return inverse * (dy.at(place) * weight.at(place % C) - sum / C - (normalized * product) / C)
        }
        const bias1 = (c: number) => {
          let sum = 0
          for (let row = 0; row < rows; row++) sum += dy.at(row * C + c)
          return sum
        }
        return {
          flops: 0,
          // x and dy once for the gradient of x and once for those of the parameters.
          bytes: 5 * bytesOf(x.tensor),
          run() {
            const gradients = backward(dy.tensor)
            return { dx: gradient(gradients, 0), dweight: gradient(gradients, 1), dbias: gradient(gradients, 2) }
          },
          checks: {
            dx: { at, allowed: rounding(dtype), terms: C },
            dbias: { at: bias1, allowed: summing(rows, 'f32'), size: Math.sqrt(rows), terms: rows },
          },
        }
      },
    },
  ]
}

/** Products with a gate per image and with a factor per channel, and the factor of a whole image. */
function productCases(shape: Shape, dtype: Float): Case[] {
  const [N, , , C] = shape
  const what = `[${shape.join(',')}] ${dtype}`
  const each = elementCount(shape) / N
  const kinds = [
    ['mul/gate', [N, C], dtype, mul, (i: number) => Math.floor(i / each) * C + (i % C)],
    ['mul/channels', [C], 'f32', mul, (i: number) => i % C],
    ['drop-images/apply', [N], 'f32', dropImages, (i: number) => Math.floor(i / each)],
  ] as const
  return kinds.map(([name, other, type, operation, partner]) => ({
    name: `${name} ${what}`,
    uses: [],
    prepare(operands: KernelOperands) {
      const [a, b] = [operands.random('a', shape, dtype), operands.random('b', other, type)]
      return {
        flops: 0,
        bytes: 2 * bytesOf(a.tensor) + bytesOf(b.tensor),
        run: () => ({ y: noGrad(() => operation(a.tensor, b.tensor)) }),
        checks: { y: { at: (i: number) => a.at(i) * b.at(partner(i)), allowed: rounding(dtype) } },
      }
    },
  }))
}

/** Distribution function of the normal distribution between −1 and 1, by its series. */
function normal(x: number): number {
  let [term, sum] = [x, x]
  for (let k = 1; k < 30; k++) {
    term *= (x * x) / (2 * k + 1)
    sum += term
  }
  return 0.5 + density(x) * sum
}

function density(x: number): number {
  return Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)
}

function geluOf(x: number): number {
  return x * normal(x)
}

function geluSlope(x: number): number {
  return normal(x) + x * density(x)
}

/** Returns the hard swish of a number between −1 and 1, where it is the parabola x·(x + 3) / 6. */
function hardSwishOf(x: number): number {
  return (x * (x + 3)) / 6
}
