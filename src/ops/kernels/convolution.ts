import { currentGpu } from '../../gpu/device.ts'
import { empty, launch } from '../../tensor/launcher.ts'
import { release } from '../../tensor/scope.ts'
import { elementCount, padTo4, storedBytes, vectorCount } from '../../tensor/shape.ts'
import type { Tensor } from '../../tensor/tensor.ts'

/**
 * The three products of a convolution, each launched in the family of kernels that the GPU prefers. Sizes are named as
 * in the shaders: x [N,H,W,C], weight [O,R,S,C], y [N,P,Q,O].
 */
export interface ConvolutionSizes {
  readonly N: number
  readonly H: number
  readonly W: number
  readonly C: number
  readonly P: number
  readonly Q: number
  readonly O: number
  readonly R: number
  readonly S: number
  readonly STRIDE: number
  readonly PAD: number
  /** Storage type of x, weight and y. */
  readonly dtype: 'f32' | 'f16'
}

/** y = x ∗ weight */
export function convolve(sizes: ConvolutionSizes, x: Tensor, weight: Tensor, y: Tensor): void {
  const { N, P, Q, O } = sizes
  const bindings = { x, weight, y }
  const options = common(sizes)
  const { subgroupSize, family } = currentGpu()
  if (family === 'broadcast') {
    launch('conv2d/forward-broadcast', bindings, { ...options, groups: tiles(N * P * Q, pixelTile()) * tiles(padTo4(O) / 4, subgroupSize) })
  } else {
    throw new Error('tile')
  }
}

/** dx from dy: every pixel of dx is written, those that no tap reaches with zero. */
export function convolveBackwardInput(sizes: ConvolutionSizes, dy: Tensor, weight: Tensor, dx: Tensor): void {
  const { N, H, W, C, STRIDE } = sizes
  const bindings = { dy, weight, dx }
  const options = common(sizes)
  const { subgroupSize, family } = currentGpu()
  // One class of pixels for each position within a stride, see the shader.
  const pixels = N * Math.ceil(H / STRIDE) * Math.ceil(W / STRIDE)
  if (family === 'broadcast') {
    const groups = STRIDE ** 2 * tiles(pixels, pixelTile()) * tiles(padTo4(C) / 4, subgroupSize)
    launch('conv2d/backward-input-broadcast', bindings, { ...options, groups })
  } else {
    throw new Error('tile')
  }
}

/** dw from x and dy, f32. The pixels are split into slices, whose sums are added up in a second launch. */
export function convolveBackwardWeight(sizes: ConvolutionSizes, x: Tensor, dy: Tensor, dw: Tensor): void {
  const { O, R, S, C } = sizes
  const columns = tiles((R * S * padTo4(C)) / 4, currentGpu().subgroupSize)
  const rows = tiles(O, pixelTile())
  const SLICES = sliceCount(columns * rows, sizes, dw)
  const partial = SLICES === 1 ? dw : empty({ shape: [SLICES, ...dw.shape], dtype: 'f32' }, 'slices of dw')
  const options = common(sizes)
  launch('conv2d/backward-weight-broadcast', { x, dy, dw: partial }, { ...options, shape: { ...options.shape, SLICES }, groups: [columns, rows, SLICES] })
  if (SLICES > 1) addSlices(partial, dw, SLICES)
}

function addSlices(slices: Tensor, total: Tensor, SLICES: number): void {
  const COUNT = vectorCount(total)
  launch('conv2d/reduce-slices', { slices, total }, { groups: tiles(COUNT, 64), shape: { COUNT, SLICES }, flops: SLICES * elementCount(total.shape) })
  release(slices)
}

function common(sizes: ConvolutionSizes) {
  const { N, H, W, C, P, Q, O, R, S, STRIDE, PAD, dtype } = sizes
  return {
    shape: { N, H, W, C, P, Q, O, R, S, STRIDE, PAD },
    dtype,
    detail: `[${N},${H},${W},${C}]→[${N},${P},${Q},${O}] ${R}×${S}`,
    flops: 2 * N * P * Q * O * R * S * C,
  }
}

/** Pixels (or out-channels) of a workgroup in the broadcast kernels: two for each of at most eight lanes. */
function pixelTile(): number {
  return 2 * Math.min(currentGpu().subgroupSize, 8)
}

function tiles(count: number, tile: number): number {
  return Math.ceil(count / tile)
}

/** Workgroups that fill the device: two cores take turns at 32; a GPU wants some for each of its hundred or so processors. */
const FULL = { software: 32, gpu: 1024 }

/**
 * Slices so that a launch fills the device, but no more than there are runs of pixels to share out (see the shader),
 * nor than 64 MiB of partial sums.
 */
function sliceCount(workgroups: number, { N, P, Q }: ConvolutionSizes, dw: Tensor): number {
  const wanted = Math.ceil((currentGpu().software ? FULL.software : FULL.gpu) / workgroups)
  const affordable = Math.floor((64 * 2 ** 20) / storedBytes(dw))
  return Math.max(1, Math.min(wanted, P * Math.min(N, Q), affordable))
}
