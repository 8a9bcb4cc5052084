import { ownKernels, type KernelVariant } from '../../src/ops/convolution/families.ts'
import { PASSES, type ConvolutionPass, type ConvolutionSizes } from '../../src/ops/convolution/sizes.ts'
import { variantCase } from '../../src/testing/convolution-case.ts'
import type { Case, Use } from './harness.ts'
import type { NetworkShapes } from './shapes.ts'

/** Channels of an image. */
const IMAGE = 3

export function conv2dCases({ convolution }: NetworkShapes): Case[] {
  return convolution.flatMap(({ sizes, uses }) => {
    // The gradient of an image is never needed.
    const passes = PASSES.filter((pass) => pass !== 'backward-input' || sizes.C !== IMAGE)
    return passes.flatMap((pass) => besideOwn(pass, sizes, uses))
  })
}

/** Shape for which other projects and our first prototypes give figures: 0.46 GFLOP, 3×3, stride 1. */
const YARDSTICK = { N: 2, H: 28, W: 28, C: 128, P: 28, Q: 28, O: 128, R: 3, S: 3, STRIDE: 1, PAD: 1 } as const

export function yardstickCases(dtype: 'f32' | 'f16'): Case[] {
  return PASSES.flatMap((pass) => besideOwn(pass, { ...YARDSTICK, dtype }, []))
}

/** Makes the case of a pass, and one for each registered kernel that can compute it. */
function besideOwn(pass: ConvolutionPass, sizes: ConvolutionSizes, uses: readonly Use[]): Case[] {
  const own = ownKernels.filter((kernel) => kernel.pass === pass && kernel.takes(sizes))
  const ours = conv2dCase(pass, sizes, uses)
  const named = own.map(({ variant }) => {
    const item = conv2dCase(pass, sizes, [], variant)
    return { ...item, name: `${item.name} by ${variant.own?.name}` }
  })
  return [ours, ...named]
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
  return { ...variantCase(pass, sizes, kernel), uses, convolution: sizes }
}
