import { currentGpu } from '../../src/gpu/device.ts'
import { kernelFor } from '../../src/ops/convolution/choices.ts'
import { runPass, type ConvolutionSizes } from '../../src/ops/convolution/passes.ts'
import { kernelName, type KernelVariant } from '../../src/ops/convolution/families.ts'
import {
  describeSizes,
  flopsOf,
  OPERANDS,
  operandSpec,
  PASSES,
  productOf,
  type ConvolutionPass,
} from '../../src/ops/convolution/sizes.ts'
import { empty } from '../../src/tensor/launch.ts'
import { storedBytes } from '../../src/tensor/shape.ts'
import { summing } from '../../src/testing/measure-kernel.ts'
import { type Case, type Use } from './harness.ts'
import type { KernelOperand } from '../../src/testing/kernel-operands.ts'
import type { NetworkShapes } from './shapes.ts'

/** Channels of an image. */
const IMAGE = 3

export function conv2dCases({ convolution }: NetworkShapes): Case[] {
  return convolution.flatMap(({ sizes, uses }) => {
    // The gradient of an image is never needed.
    const passes = PASSES.filter((pass) => pass !== 'backward-input' || sizes.C !== IMAGE)
    return passes.map((pass) => conv2dCase(pass, sizes, uses))
  })
}

/** Shape for which other projects and our first prototypes give figures: 0.46 GFLOP, 3×3, stride 1. */
const YARDSTICK = { N: 2, H: 28, W: 28, C: 128, P: 28, Q: 28, O: 128, R: 3, S: 3, STRIDE: 1, PAD: 1 } as const

export function yardstickCases(dtype: 'f32' | 'f16'): Case[] {
  return PASSES.map((pass) => conv2dCase(pass, { ...YARDSTICK, dtype }, []))
}

/** Makes the case of a square matrix product, in the form in which a linear layer runs it. */
export function matmulCase(side: number, dtype: 'f32' | 'f16'): Case {
  const sizes = { N: side, H: 1, W: 1, C: side, P: 1, Q: 1, O: side, R: 1, S: 1, STRIDE: 1, PAD: 0, dtype }
  return { ...conv2dCase('forward', sizes, []), name: `matmul ${side}×${side}×${side} ${dtype}` }
}

/** Makes the case of a pass of a convolution. @param kernel  kernel variant. Default: the chosen one */
export function conv2dCase(
  pass: ConvolutionPass,
  sizes: ConvolutionSizes,
  uses: readonly Use[],
  kernel?: KernelVariant,
): Case {
  const { STRIDE, dtype } = sizes
  return {
    name: `conv2d/${pass} ${describeSizes(sizes)}${STRIDE > 1 ? ` /${STRIDE}` : ''} ${dtype}`,
    uses,
    convolution: sizes,
    prepare(operands) {
      const [left, right, result] = OPERANDS[pass]
      const [a, b] = [left, right].map((name) => operands.random(name, operandSpec(name, sizes).shape, dtype))
      const chosen = kernel ?? kernelFor(pass, sizes)
      const made = operandSpec(result, sizes)
      const { depth } = productOf(pass, sizes)
      const allowed = summing(depth, made.dtype === 'f16' ? 'f16' : 'f32')
      return {
        flops: flopsOf(sizes),
        bytes: [a.tensor, b.tensor, made].reduce((sum, spec) => sum + storedBytes(spec), 0),
        arithmetic: chosen.family === 'matrix' && !currentGpu().matrices.emulated ? 'matrix' : 'f32',
        kernel: kernelName(chosen),
        run() {
          const out = empty(made)
          runPass(pass, sizes, [a.tensor, b.tensor, out], chosen)
          return { [result]: out }
        },
        checks: { [result]: { at: (place) => SUMS[pass](sizes, a, b, place), allowed, terms: depth } },
      }
    },
  }
}

// Sums over every tap that connects an element of the result with the operands; slow and evidently right.
const SUMS: Readonly<
  Record<ConvolutionPass, (sizes: ConvolutionSizes, a: KernelOperand, b: KernelOperand, place: number) => number>
> = {
  forward({ H, W, C, P, Q, O, R, S, STRIDE, PAD }, x, weight, place) {
    const [n, p, q, o] = unravel(place, [P, Q, O])
    let sum = 0
    for (let r = 0; r < R; r++) {
      for (let s = 0; s < S; s++) {
        const h = p * STRIDE + r - PAD
        const w = q * STRIDE + s - PAD
        if (h < 0 || w < 0 || h >= H || w >= W) continue
        for (let c = 0; c < C; c++) {
          sum += x.at(((n * H + h) * W + w) * C + c) * weight.at(((o * R + r) * S + s) * C + c)
        }
      }
    }
    return sum
  },

  'backward-input'({ H, W, C, P, Q, O, R, S, STRIDE, PAD }, dy, weight, place) {
    const [n, h, w, c] = unravel(place, [H, W, C])
    let sum = 0
    for (let r = 0; r < R; r++) {
      for (let s = 0; s < S; s++) {
        const p = (h + PAD - r) / STRIDE
        const q = (w + PAD - s) / STRIDE
        if (!Number.isInteger(p) || !Number.isInteger(q) || p < 0 || q < 0 || p >= P || q >= Q) continue
        for (let o = 0; o < O; o++) {
          sum += dy.at(((n * P + p) * Q + q) * O + o) * weight.at(((o * R + r) * S + s) * C + c)
        }
      }
    }
    return sum
  },

  'backward-weight'({ N, H, W, C, P, Q, O, R, S, STRIDE, PAD }, x, dy, place) {
    const [o, r, s, c] = unravel(place, [R, S, C])
    let sum = 0
    for (let n = 0; n < N; n++) {
      for (let p = 0; p < P; p++) {
        for (let q = 0; q < Q; q++) {
          const h = p * STRIDE + r - PAD
          const w = q * STRIDE + s - PAD
          if (h < 0 || w < 0 || h >= H || w >= W) continue
          sum += x.at(((n * H + h) * W + w) * C + c) * dy.at(((n * P + p) * Q + q) * O + o)
        }
      }
    }
    return sum
  },
}

/** Returns the indices of an element of a 4-axis tensor from the lengths of its last three axes. */
export function unravel(
  place: number,
  [second, third, fourth]: readonly [number, number, number],
): readonly [number, number, number, number] {
  const d = place % fourth
  const c = Math.floor(place / fourth) % third
  const b = Math.floor(place / (fourth * third)) % second
  return [Math.floor(place / (fourth * third * second)), b, c, d]
}
