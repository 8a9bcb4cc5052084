import { currentGpu } from '../gpu/device.ts'
import { PASS } from '../ops/convolution/own-kernels.ts'
import { kernelFor } from '../ops/convolution/choices.ts'
import { kernelName, ownKernels, type KernelVariant } from '../ops/convolution/families.ts'
import { runPass } from '../ops/convolution/passes.ts'
import {
  describeSizes,
  flopsOf,
  OPERANDS,
  operandSpec,
  productOf,
  type ConvolutionPass,
  type ConvolutionSizes,
} from '../ops/convolution/sizes.ts'
import { empty } from '../tensor/launch.ts'
import { storedBytes } from '../tensor/shape.ts'
import { OptionError } from '../base/errors.ts'
import { checkArgument } from '../base/options.ts'
import type { KernelOperand } from './kernel-operands.ts'
import { summing, type KernelCase } from './measure-kernel.ts'

/**
 * Makes the case of a pass of a convolution for `measureKernel` and `proveKernel`: every kernel variant is proven against the sums of
 * the definition, in double precision.
 *
 *   await measureKernel(gpu, convolutionCase('forward', sizes, 'mine'))
 *
 * @param kernel  name of a kernel that `registerConvolutionKernel` was given. Default: the kernel that runs for these sizes
 * @throws OptionError  if no registered kernel has the name, or it does not take these sizes
 */
export function convolutionCase(pass: ConvolutionPass, sizes: ConvolutionSizes, kernel?: string): KernelCase {
  checkArgument('convolutionCase', 'pass', pass, PASS)
  return variantCase(pass, sizes, kernel === undefined ? undefined : ownKernel(pass, sizes, kernel))
}

function ownKernel(pass: ConvolutionPass, sizes: ConvolutionSizes, name: string): KernelVariant {
  const own = ownKernels.find(({ variant }) => variant.own?.name === name)
  if (own?.pass === pass && own.takes(sizes)) return own.variant
  throw new OptionError('convolutionCase', `there is no registered kernel '${name}' for this pass and these sizes`, {
    given: { pass, sizes: describeSizes(sizes), ...(own && { 'pass of the kernel': own.pass }) },
    expected: ownKernels.map(({ variant }) => variant.own?.name).join(', ') || 'one of registerConvolutionKernel',
  })
}

/** Makes the case of a pass of a convolution. @param kernel  kernel variant. Default: the chosen one */
export function variantCase(pass: ConvolutionPass, sizes: ConvolutionSizes, kernel?: KernelVariant): KernelCase {
  const { STRIDE, dtype } = sizes
  return {
    name: `conv2d/${pass} ${describeSizes(sizes)}${STRIDE > 1 ? ` /${STRIDE}` : ''} ${dtype}`,
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
