import { currentGpu } from '../../gpu/device.ts'
import { shadersOfFamily } from '../../gpu/kernel-families.ts'
import type { LaunchOptions } from '../../gpu/pipeline-cache.ts'
import type { ShaderName } from '../../gpu/shader-source.ts'
import { empty, launch } from '../../tensor/launch.ts'
import { release } from '../../tensor/scope.ts'
import { storedBytes, type Spec } from '../../tensor/shape.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { kernelFor } from './choices.ts'
import { shaderOf, slicesWanted, workgroupsOf, type KernelVariant } from './families.ts'
import {
  describeSizes,
  flopsOf,
  OPERANDS,
  operandSpec,
  productOf,
  type ConvolutionSizes,
  type ConvolutionPass,
} from './sizes.ts'
import { sliceSum } from './slice-sum.ts'
import '../../gpu/wgsl/conv2d/index.ts'

export type { ConvolutionSizes } from './sizes.ts'

shadersOfFamily('broadcast', () => import('../../gpu/wgsl/conv2d/family-broadcast.ts'))
shadersOfFamily('matrix', () => import('../../gpu/wgsl/conv2d/family-matrix.ts'))

/** Computes y = x ∗ weight. */
export function convolve(sizes: ConvolutionSizes, x: Tensor, weight: Tensor, y: Tensor): void {
  runPass('forward', sizes, [x, weight, y])
}

/** Computes dx from dy. Every pixel of dx is written, with zero where no tap reaches it. */
export function convolveBackwardInput(sizes: ConvolutionSizes, dy: Tensor, weight: Tensor, dx: Tensor): void {
  runPass('backward-input', sizes, [dy, weight, dx])
}

/** Computes dw, in f32, from x and dy. */
export function convolveBackwardWeight(sizes: ConvolutionSizes, x: Tensor, dy: Tensor, dw: Tensor): void {
  runPass('backward-weight', sizes, [x, dy, dw])
}

/**
 * Launches a pass on its two operands and its result, in the order of `OPERANDS`.
 *
 * @param kernel  kernel variant. Default: the one chosen for these sizes on this GPU (see convolution/choices.ts)
 * @param record  function that receives the launches. Default: `launch` on the current GPU
 */
export function runPass(
  pass: ConvolutionPass,
  sizes: ConvolutionSizes,
  operands: readonly [Tensor, Tensor, Tensor],
  kernel: KernelVariant = kernelFor(pass, sizes),
  record: typeof launch = launch,
): void {
  const [left, right, result] = operands
  const [leftName, rightName, resultName] = OPERANDS[pass]
  const [product, sum] = passLaunches(pass, sizes, kernel)
  const made = sum
    ? empty({ shape: [sum.options.shape.SLICES, ...result.shape], dtype: 'f32' }, 'slices of dw')
    : result
  record(product.shader, { [leftName]: left, [rightName]: right, [resultName]: made }, product.options)
  if (!sum) return
  record(sum.shader, { slices: made, total: result }, sum.options)
  release(made)
}

interface PassLaunch {
  readonly shader: ShaderName
  readonly options: LaunchOptions & { readonly shape: Readonly<Record<string, number>> }
}

/**
 * Returns shader and options of the launches of a pass: one, or, if a weight gradient is split into slices, a second
 * that adds up the slices.
 */
export function passLaunches(
  pass: ConvolutionPass,
  sizes: ConvolutionSizes,
  kernel: KernelVariant,
): readonly [PassLaunch, PassLaunch?] {
  const launched = pass === 'backward-weight' ? inRows(sizes) : sizes
  const { N, H, W, C, P, Q, O, R, S, STRIDE, PAD, dtype } = launched
  const shader = shaderOf(kernel, pass)
  const shape = { N, H, W, C, P, Q, O, R, S, STRIDE, PAD }
  const options = { constants: kernel.constants, dtype, detail: describeSizes(sizes), flops: flopsOf(sizes) }
  if (pass !== 'backward-weight') {
    return [{ shader, options: { ...options, shape, groups: workgroupsOf(kernel, pass, sizes) } }]
  }
  const dw = operandSpec('dw', sizes)
  const SLICES = sliceCount(kernel, launched, dw)
  const { rows, columns } = productOf(pass, sizes)
  const groups = [Math.ceil(columns / kernel.columns), Math.ceil(rows / kernel.rows), SLICES] as const
  const product: PassLaunch = { shader, options: { ...options, shape: { ...shape, SLICES }, groups } }
  if (SLICES === 1) return [product]
  return [product, sliceSum(currentGpu(), dw, SLICES)]
}

/** Largest number of pixels in a row, so that there are several rows for each slice. */
const ROW = 64

/**
 * Rearranges the pixels of a 1×1 convolution: its weight gradient does not depend on how pixels are arranged in images.
 * Row lengths that are multiples of four suit the shaders, which process four pixels per step.
 */
function inRows(sizes: ConvolutionSizes): ConvolutionSizes {
  const { N, P, Q, R, S, STRIDE, PAD } = sizes
  const pixels = N * P * Q
  if (R * S > 1 || STRIDE > 1 || PAD > 0 || pixels % 4 !== 0) return sizes
  let row = Math.min(ROW, pixels)
  while (pixels % row !== 0 || row % 4 !== 0) row--
  return { ...sizes, N: 1, H: pixels / row, P: pixels / row, W: row, Q: row }
}

/** Largest size of the partial sums: 64 MiB. */
const SLICES_BYTES = 64 * 2 ** 20

/**
 * Returns the number of slices that fills the GPU, at most the number of runs of pixels that can be distributed (see
 * the shaders).
 */
function sliceCount(kernel: KernelVariant, sizes: ConvolutionSizes, dw: Spec): number {
  const gpu = currentGpu()
  const { N, P, Q } = sizes
  const affordable = Math.floor(Math.min(SLICES_BYTES, gpu.buffers.limitBytes) / storedBytes(dw))
  return Math.max(1, Math.min(slicesWanted(gpu, kernel, sizes), P * Math.min(N, Q), affordable))
}
