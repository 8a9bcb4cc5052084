import { currentGpu } from '../../gpu/device.ts'
import { GRID_LIMIT } from '../../gpu/flags.ts'
import { columnSums, onGrid } from '../../gpu/grid.ts'
import { fitsRegisters } from '../../gpu/registers.ts'
import { empty, launch } from '../../tensor/launch.ts'
import { release } from '../../tensor/scope.ts'
import { padTo4 } from '../../tensor/shape.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { blockCount, blockGroups, lanesOf, mayBlock, rowsOf, slicesOf, type Block } from './block.ts'
import { describeSizes, type ConvolutionPass, type ConvolutionSizes } from './sizes.ts'
import { sliceSum } from './slice-sum.ts'
import { mayWalk, rowsEach, walkGrid } from './walk.ts'
import '../../gpu/wgsl/grouped-conv/index.ts'

/** Sizes of a convolution with groups and dilation: weight [O,R,S,C/GROUPS]. */
export interface GroupedSizes extends ConvolutionSizes {
  readonly DILATION: number
  readonly GROUPS: number
}

/** Sizes of a convolution that a forward kernel computes; with BACKWARD it is the gradient of another. */
type ForwardSizes = Readonly<Record<'H' | 'W' | 'C' | 'P' | 'Q' | 'O' | 'PAD', number>> & { readonly BACKWARD?: number }

/** Pixels per thread, which share the filters that it loads. */
const TILE = 4
/** Widest filter of grouped-conv/backward-weight-walk. */
const WIDEST = 7
/** Largest filter, in rows and columns, of the kernels that compute blocks of pixels: a thread keeps all that it loads. */
const LARGEST_OF_BLOCKS = 3
/** Most slices of a gradient: a thread of conv2d/reduce-slices adds up all. */
const MOST_SLICES = 64

/** Computes y = x ∗ weight. */
export function convolveGroups(sizes: GroupedSizes, x: Tensor, weight: Tensor, y: Tensor): void {
  if (walks(sizes, sizes.C)) {
    walk(sizes, sizes, x, weight, y)
    return
  }
  if (computesBlocks(sizes)) {
    slideBlocks(sizes, sizes, x, weight, y)
    return
  }
  const { N, P, Q, O } = sizes
  const threads = (N * P * Math.ceil(Q / TILE) * padTo4(O)) / 4
  launch('grouped-conv/forward', { x, weight, y }, options(sizes, threads))
}

/** Computes dx from dy. Every pixel of dx is written, with zero where no tap reaches it. */
export function convolveGroupsBackwardInput(sizes: GroupedSizes, dy: Tensor, weight: Tensor, dx: Tensor): void {
  const { N, H, W, P, Q, C, O, R, S, STRIDE, PAD } = sizes
  if (STRIDE === 1 && R === S && PAD < R && (walks(sizes, O) || computesBlocks(sizes))) {
    const own = { H: P, W: Q, C: O, P: H, Q: W, O: C, PAD: R - 1 - PAD, BACKWARD: 1 }
    const slide = walks(sizes, O) ? walk : slideBlocks
    slide(sizes, own, dy, weight, dx)
    return
  }
  const strips = STRIDE * Math.ceil(Math.ceil(W / STRIDE) / TILE)
  launch('grouped-conv/backward-input', { dy, weight, dx }, options(sizes, (N * H * strips * padTo4(C)) / 4))
}

/** Computes dw, in f32, from x and dy. */
export function convolveGroupsBackwardWeight(sizes: GroupedSizes, x: Tensor, dy: Tensor, dw: Tensor): void {
  const slices = walksToWeight(sizes)
    ? walkToWeight(sizes, x, dy, dw)
    : computesBlocks(sizes)
      ? blocksToWeight(sizes, x, dy, dw)
      : slicesOfWeight(sizes, x, dy, dw)
  const { shader, options: sum } = sliceSum(currentGpu(), dw, slices.shape[0])
  launch(shader, { slices, total: dw }, sum)
  release(slices)
}

/** Launches grouped-conv/backward-weight and returns the slices of dw that it computes, in f32. */
function slicesOfWeight(sizes: GroupedSizes, x: Tensor, dy: Tensor, dw: Tensor): Tensor {
  const { N, P, Q, C, O, R, S, GROUPS } = sizes
  const { shape, constants } = options(sizes, 0)
  const columns = (padTo4(O) / 4) * R * S * (padTo4(C / GROUPS) / 4)
  const { SLICES: wanted, runs } = columnSums(N * P * Q, columns)
  const RUN = Math.ceil((N * P) / wanted)
  const SLICES = Math.ceil((N * P) / RUN)
  const slices = empty({ shape: [SLICES, ...dw.shape], dtype: 'f32' }, 'slices of dw')
  const [tiles] = runs.groups
  launch(
    'grouped-conv/backward-weight',
    { x, dy, slices },
    onGrid(
      { ...runs, groups: [Math.min(tiles, GRID_LIMIT), SLICES, Math.ceil(tiles / GRID_LIMIT)] },
      { ...groupedLaunch(sizes), shape: { ...shape, RUN }, constants: { ALIGNED: constants.ALIGNED } },
    ),
  )
  return slices
}

/** Returns true if grouped-conv/backward-weight-walk computes a gradient: it keeps the sums of a row of four filters. */
function walksToWeight(sizes: GroupedSizes): boolean {
  return mayWalk(sizes) && sizes.GROUPS > 1 && isAligned(sizes) && sizes.S <= WIDEST
}

/** Launches grouped-conv/backward-weight-walk and returns the slices of dw that it computes, in f32. */
function walkToWeight(sizes: GroupedSizes, x: Tensor, dy: Tensor, dw: Tensor): Tensor {
  const { N, H, W, C, P, Q, O, R, S, STRIDE, PAD, GROUPS } = sizes
  const [DEPTH, OWN] = [C, O].map((channels) => channels / 4 / GROUPS)
  const EACH = 2
  const COLUMNS = OWN * GROUPS * DEPTH
  const { RUN, groups, constants } = walkGrid(N * Math.ceil(P / EACH), COLUMNS)
  const slices = empty({ shape: [groups[1] * constants.ROWS, ...dw.shape], dtype: 'f32' }, 'slices of dw')
  launch(
    'grouped-conv/backward-weight-walk',
    { x, dy, slices },
    {
      ...groupedLaunch(sizes),
      groups: [groups[0], groups[1], R],
      shape: { N, H, W, P, Q, R, PAD, COLUMNS, DEPTH, OWN, GROUPS, RUN, FILTER_COLUMNS: S },
      constants: { ...constants, S, STRIDE, EACH },
    },
  )
  return slices
}

/**
 * Returns true if grouped-conv/forward-walk computes a pass over inputs of a number of channels: it keeps filters in registers, a
 * 3×3 one of eight channels at most.
 */
function walks(sizes: GroupedSizes, channels: number): boolean {
  const { R, S, GROUPS } = sizes
  return mayWalk(sizes) && GROUPS > 1 && isAligned(sizes) && Math.max(R, S) <= 3 && channels / GROUPS <= 8
}

/** Launches grouped-conv/forward-walk, which serves two passes: each input pixel is loaded once, and filters are in registers. */
function walk(sizes: GroupedSizes, own: ForwardSizes, x: Tensor, weight: Tensor, y: Tensor): void {
  const { N, R, S, STRIDE, GROUPS } = sizes
  const { H, W, C, P, Q, O, PAD, BACKWARD = 0 } = own
  const EACH = rowsEach(STRIDE)
  const VECTORS = O / 4
  const { RUN, groups, constants } = walkGrid(N * Math.ceil(P / EACH), VECTORS)
  launch(
    'grouped-conv/forward-walk',
    { x, weight, y },
    {
      ...groupedLaunch(sizes),
      groups,
      shape: { N, H, W, P, Q, PAD, VECTORS, OWN: VECTORS / GROUPS, GROUPS, RUN, FILTER_ROWS: R, BACKWARD },
      constants: { ...constants, R, S, STRIDE, EACH, DEPTH: C / 4 / GROUPS },
    },
  )
}

/** Returns true if the kernels that compute blocks of pixels compute a convolution in groups; that of dx at stride 1. */
function computesBlocks(sizes: GroupedSizes): boolean {
  const { R, S, GROUPS } = sizes
  return mayBlock(sizes) && GROUPS > 1 && isAligned(sizes) && Math.max(R, S) <= LARGEST_OF_BLOCKS
}

/** Numbers of a large block: 24 vectors of pixels, 8 of sums and 4 of weights at a time, or 36 of sums for four 3×3 filters. */
const LARGE_BLOCK = 4 * 36

/**
 * Returns the block of a thread of a pass: a large one where registers hold it, otherwise one that 64 registers hold, or nearly so, by
 * Intel's compiler, for a third of the instructions.
 */
export function groupedBlock(pass: ConvolutionPass, { C, O, R, GROUPS, STRIDE }: GroupedSizes): Block {
  const large = fitsRegisters(LARGE_BLOCK)
  const common = { EACH: 1, TURNS: 1, TAPS: large ? R : 1, THREADS: 128 }
  if (pass === 'backward-weight') {
    return { ...common, DOWN: 16, ACROSS: large ? 2 : 1, LANES: lanesOf((O * C) / GROUPS / 16) }
  }
  const DOWN = large ? (STRIDE === 1 ? 4 : 2) : 1
  return { ...common, DOWN, ACROSS: 2, LANES: lanesOf((pass === 'forward' ? O : C) / 4) }
}

/** Launches grouped-conv/forward-block, which serves two passes. */
export function slideBlocks(
  sizes: GroupedSizes,
  own: ForwardSizes,
  x: Tensor,
  weight: Tensor,
  y: Tensor,
  block: Block = groupedBlock(own.BACKWARD ? 'backward-input' : 'forward', sizes),
): void {
  const { N, R, S, STRIDE, GROUPS } = sizes
  const { H, W, C, P, Q, O, PAD, BACKWARD = 0 } = own
  const { LANES, DOWN, ACROSS } = block
  const VECTORS = O / 4
  launch(
    'grouped-conv/forward-block',
    { x, weight, y },
    {
      ...groupedLaunch(sizes),
      groups: blockGroups(VECTORS, blockCount(N, P, Q, block), block),
      shape: { N, H, W, P, Q, PAD, VECTORS, OWN: VECTORS / GROUPS, DEPTH: C / 4 / GROUPS, GROUPS, BACKWARD },
      constants: { LANES, ROWS: rowsOf(block), R, S, STRIDE, DOWN, ACROSS },
    },
  )
}

/** Launches grouped-conv/backward-weight-block and returns the slices of dw that it computes, in f32. */
export function blocksToWeight(
  sizes: GroupedSizes,
  x: Tensor,
  dy: Tensor,
  dw: Tensor,
  block: Block = groupedBlock('backward-weight', sizes),
): Tensor {
  const { N, H, W, C, P, Q, O, R, S, STRIDE, PAD, GROUPS } = sizes
  const [DEPTH, OWN] = [C, O].map((channels) => channels / 4 / GROUPS)
  const { LANES, TAPS, DOWN, ACROSS } = block
  const COLUMNS = OWN * GROUPS * DEPTH
  const { RUN, SLICES } = slicesOf(sizes, block, MOST_SLICES)
  const slices = empty({ shape: [SLICES, ...dw.shape], dtype: 'f32' }, 'slices of dw')
  launch(
    'grouped-conv/backward-weight-block',
    { x, dy, slices },
    {
      ...groupedLaunch(sizes),
      groups: [Math.ceil(COLUMNS / LANES), SLICES, Math.ceil(R / TAPS)],
      shape: { N, H, W, P, Q, R, PAD, COLUMNS, DEPTH, OWN, GROUPS, DOWN, RUN },
      constants: { LANES, ROWS: rowsOf(block), TAPS, S, STRIDE, ACROSS },
    },
  )
  return slices
}

/** Returns true if vectors of four channels are in one group. */
function isAligned({ C, O, GROUPS }: GroupedSizes): boolean {
  return GROUPS === 1 || ((C / GROUPS) % 4 === 0 && (O / GROUPS) % 4 === 0)
}

/** Returns the number of arithmetic operations of each of the three passes, including those on padding. */
export function groupedFlops({ N, P, Q, O, R, S, C, GROUPS }: GroupedSizes): number {
  return (2 * N * P * Q * O * R * S * C) / GROUPS
}

/** Returns the storage type of a launch, its text in profiles and its arithmetic. */
function groupedLaunch(sizes: GroupedSizes) {
  return { dtype: sizes.dtype, detail: `${describeSizes(sizes)} in ${sizes.GROUPS}`, flops: groupedFlops(sizes) }
}

function options(sizes: GroupedSizes, threads: number) {
  const { N, H, W, C, P, Q, O, R, S, STRIDE, PAD, DILATION, GROUPS } = sizes
  return {
    ...groupedLaunch(sizes),
    groups: Math.ceil(threads / 64),
    shape: { N, H, W, C, P, Q, O, R, S, STRIDE, PAD, DILATION, GROUPS },
    constants: { TILE, ALIGNED: isAligned(sizes) },
  }
}
