import { currentGpu } from '../../gpu/device.ts'
import { columnSums, imagePass, onGrid } from '../../gpu/grid.ts'
import { fitsRegisters } from '../../gpu/registers.ts'
import { empty, launch } from '../../tensor/launch.ts'
import { parts } from '../../tensor/parts.ts'
import { release } from '../../tensor/scope.ts'
import { padTo4 } from '../../tensor/shape.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { blockBackwardWeight, computesBlocks } from './depthwise-block.ts'
import { depthwiseLaunch, walkBackwardInput, walkBackwardWeight, walkForward, walks } from './depthwise-walk.ts'
import type { GroupedSizes } from './grouped.ts'
import '../../gpu/wgsl/depthwise/index.ts'

/** Widest filter, in pixels that it spans, of which a thread keeps a row of inputs in registers. */
const WIDEST = 32
/** Most pixels of a row that a thread keeps in registers; the loops over them are written out, see shaders/README.md. */
const MOST_INPUTS = 40

/** Returns true if the depthwise kernels compute a convolution: each channel has one filter of its own, not too wide. */
export function isDepthwise({ C, O, S, DILATION, GROUPS }: GroupedSizes): boolean {
  return GROUPS > 1 && GROUPS === C && O === C && (S - 1) * DILATION < WIDEST
}

/**
 * Transposes the filters, [C,R,S,1] → [R·S,C] f32, so that a thread loads those of four channels at once: a million numbers
 * at most, where the images have many.
 */
export function packFilters({ C, R, S, dtype }: GroupedSizes, weight: Tensor): Tensor {
  const TAPS = R * S
  const packed = empty({ shape: [TAPS, C], dtype: 'f32' }, 'packed filters')
  const groups = Math.ceil((TAPS * padTo4(C)) / 4 / 64)
  launch('depthwise/pack', { weight, packed }, { groups, shape: { C, TAPS }, dtype })
  return packed
}

/** Computes y = x ∗ weight + bias, each channel with a filter of its own. */
export function convolveDepthwise(
  sizes: GroupedSizes,
  x: Tensor,
  packed: Tensor,
  bias: Tensor | undefined,
  y: Tensor,
): void {
  const { H, W, P, Q, PAD } = sizes
  slide(sizes, { H, W, P, Q, PAD, STRIDE: sizes.STRIDE, FLIPPED: 0 }, x, packed, bias, y)
}

/** Computes dx from dy. Every pixel of dx is written, with zero where no tap reaches it. */
export function convolveDepthwiseBackwardInput(sizes: GroupedSizes, dy: Tensor, packed: Tensor, dx: Tensor): void {
  const { H, W, P, Q, R, S, C, STRIDE, DILATION } = sizes
  const [PAD, across] = [R, S].map((size) => (size - 1) * DILATION - sizes.PAD)
  if (STRIDE === 1 && PAD >= 0 && PAD === across) {
    slide(sizes, { H: P, W: Q, P: H, Q: W, PAD, STRIDE, FLIPPED: 1 }, dy, packed, undefined, dx)
    return
  }
  if (walks(sizes)) {
    walkBackwardInput(sizes, dy, packed, dx)
    return
  }
  const VECTORS = padTo4(C) / 4
  const TILE = tileOf(sizes, 1, Math.ceil(W / STRIDE))
  const strips = STRIDE * Math.ceil(W / (STRIDE * TILE))
  const options = {
    ...depthwiseLaunch(sizes),
    shape: { H, W, P, Q, R, S, PAD: sizes.PAD, DILATION, VECTORS },
    constants: { STRIDE, TILE },
  }
  for (const { dy: given, dx: made } of parts({ dy, dx })) {
    const grid = imagePass(made.shape[0], H, strips, VECTORS)
    launch('depthwise/backward-input', { dy: given, packed, dx: made }, onGrid(grid, options))
  }
}

/** Computes dw, in f32, from x and dy. */
export function convolveDepthwiseBackwardWeight(sizes: GroupedSizes, x: Tensor, dy: Tensor, dw: Tensor): void {
  const slices = walks(sizes)
    ? walkBackwardWeight(sizes, x, dy)
    : computesBlocks(sizes, 'backward-weight')
      ? blockBackwardWeight(sizes, x, dy)
      : slicesOfWeight(sizes, x, dy)
  const { C } = sizes
  const [SLICES, TAPS] = slices.shape
  const { total } = columnSums(SLICES, (TAPS * padTo4(C)) / 4)
  launch('depthwise/finish', { slices, dw }, onGrid(total, { shape: { C, TAPS, SLICES } }))
  release(slices)
}

/** Launches depthwise/backward-weight and returns the slices of dw that it computes, in f32. */
function slicesOfWeight(sizes: GroupedSizes, x: Tensor, dy: Tensor): Tensor {
  const { N, H, W, P, Q, R, S, C, STRIDE, DILATION, PAD } = sizes
  const VECTORS = padTo4(C) / 4
  const TILE = tileOf(sizes, STRIDE, Q)
  // The rows of the filter are columns of this sum; a strip counts as four rows, since it has as many pixels at least.
  const wanted = columnSums(N * P * Math.ceil(Q / TILE) * 4, VECTORS * R)
  const { runs } = wanted
  const RUN = Math.ceil((N * P) / wanted.SLICES)
  const SLICES = Math.ceil((N * P) / RUN)
  const groups = [Math.ceil(VECTORS / runs.constants.LANES), R, SLICES] as const
  const slices = empty({ shape: [SLICES, R * S, C], dtype: 'f32' }, 'slices of dw')
  launch(
    'depthwise/backward-weight',
    { x, dy, slices },
    onGrid(
      { ...runs, groups },
      {
        ...depthwiseLaunch(sizes),
        shape: { N, H, W, P, Q, R, PAD, VECTORS, RUN },
        constants: { S, STRIDE, DILATION, TILE },
      },
    ),
  )
  return slices
}

/** Launches depthwise/forward or the kernel that walks, which serve two passes. */
function slide(
  sizes: GroupedSizes,
  { STRIDE, ...own }: Readonly<Record<'H' | 'W' | 'P' | 'Q' | 'PAD' | 'STRIDE' | 'FLIPPED', number>>,
  x: Tensor,
  packed: Tensor,
  bias: Tensor | undefined,
  y: Tensor,
): void {
  if (walks(sizes)) {
    walkForward(sizes, { ...own, STRIDE }, { x, packed, bias, y })
    return
  }
  const { R, S, C, DILATION } = sizes
  const VECTORS = padTo4(C) / 4
  const TILE = tileOf(sizes, STRIDE, own.Q)
  const options = {
    ...depthwiseLaunch(sizes),
    shape: { ...own, R, VECTORS, BIAS: Number(bias !== undefined) },
    constants: { S, STRIDE, DILATION, TILE },
  }
  for (const part of parts({ x, y })) {
    const grid = imagePass(part.y.shape[0], own.P, Math.ceil(own.Q / TILE), VECTORS)
    launch('depthwise/forward', { ...part, packed, bias: bias ?? packed }, onGrid(grid, options))
  }
}

/**
 * Returns the number of neighbouring pixels per thread: many share what they load; few leave registers free and threads for
 * small images. Where compiling is what costs, one size serves all images.
 */
function tileOf({ S, DILATION }: GroupedSizes, stride: number, columns: number): number {
  const onProcessor = currentGpu().family === 'broadcast'
  const tiles = [8, 4, 2, 1].filter((tile) => (onProcessor ? tile <= 4 : tile < 2 * columns))
  const suits = (tile: number) => {
    const inputs = (tile - 1) * stride + (S - 1) * DILATION + 1
    return inputs <= MOST_INPUTS && (onProcessor || fitsRegisters(4 * (inputs + tile + 1)))
  }
  return tiles.find(suits) ?? 1
}
