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
  const options = common(sizes)
  if (currentGpu().family === 'broadcast') {
    const { pixels, vectors } = broadcastTile()
    launch('conv2d/forward-broadcast', { x, weight, y }, { ...options, groups: tiles(N * P * Q, pixels) * tiles(O, 4 * vectors) })
  } else {
    const tile = tileFor(N * P * Q, O)
    launch('conv2d/forward-tile', { x, weight, y }, { ...options, constants: tile, groups: tiles(N * P * Q, tile.TILE_M) * tiles(O, tile.TILE_N) })
  }
}

/** dx from dy: every pixel of dx is written, those that no tap reaches with zero. */
export function convolveBackwardInput(sizes: ConvolutionSizes, dy: Tensor, weight: Tensor, dx: Tensor): void {
  const { N, H, W, C, STRIDE } = sizes
  const options = common(sizes)
  // One class of pixels for each position within a stride, see the shaders.
  const classes = STRIDE ** 2
  const reached = N * Math.ceil(H / STRIDE) * Math.ceil(W / STRIDE)
  if (currentGpu().family === 'broadcast') {
    const { pixels, vectors } = broadcastTile()
    launch('conv2d/backward-input-broadcast', { dy, weight, dx }, { ...options, groups: classes * tiles(reached, pixels) * tiles(C, 4 * vectors) })
  } else {
    const tile = tileFor(reached, C)
    launch('conv2d/backward-input-tile', { dy, weight, dx }, { ...options, constants: tile, groups: classes * tiles(reached, tile.TILE_M) * tiles(C, tile.TILE_N) })
  }
}

/** dw from x and dy, f32. The pixels are split into slices, whose sums are added up in a second launch. */
export function convolveBackwardWeight(sizes: ConvolutionSizes, x: Tensor, dy: Tensor, dw: Tensor): void {
  const { O, R, S, C } = sizes
  const columns = R * S * padTo4(C)
  const broadcast = currentGpu().family === 'broadcast'
  const tile = tileFor(O, columns)
  const { pixels, vectors } = broadcastTile()
  const across = broadcast ? tiles(columns, 4 * vectors) : tiles(columns, tile.TILE_N)
  const down = broadcast ? tiles(O, pixels) : tiles(O, tile.TILE_M)
  const SLICES = sliceCount(across * down, sizes, dw)
  const partial = SLICES === 1 ? dw : empty({ shape: [SLICES, ...dw.shape], dtype: 'f32' }, 'slices of dw')
  const { shape, ...options } = common(sizes)
  const grid = { ...options, shape: { ...shape, SLICES }, groups: [across, down, SLICES] as const }
  if (broadcast) launch('conv2d/backward-weight-broadcast', { x, dy, dw: partial }, grid)
  else launch('conv2d/backward-weight-tile', { x, dy, dw: partial }, { ...grid, constants: tile })
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

/** What a workgroup of the broadcast kernels computes: pixels (or out-channels) by vectors of four channels, one a lane. */
function broadcastTile(): { pixels: number; vectors: number } {
  const { subgroupSize } = currentGpu()
  return { pixels: 2 * Math.min(subgroupSize, 8), vectors: subgroupSize }
}

/** Tiles of the workgroup-memory kernels, 64 threads each. */
const LARGE_TILE = { TILE_M: 64, TILE_N: 64, TILE_K: 16, THREAD_M: 8, THREAD_N: 8 }
const SMALL_TILE = { TILE_M: 32, TILE_N: 32, TILE_K: 16, THREAD_M: 4, THREAD_N: 4 }

/**
 * Large tiles reuse what they load more often; small ones where large would leave most of a GPU idle: below 64 of them,
 * about half a workgroup for each processor of a large GPU. Not measured on one yet.
 */
function tileFor(rows: number, columns: number) {
  return tiles(rows, LARGE_TILE.TILE_M) * tiles(columns, LARGE_TILE.TILE_N) < 64 ? SMALL_TILE : LARGE_TILE
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
