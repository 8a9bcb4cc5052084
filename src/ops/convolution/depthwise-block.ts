import { fitsRegisters } from '../../gpu/registers.ts'
import { empty, launch } from '../../tensor/launch.ts'
import { release } from '../../tensor/scope.ts'
import { padTo4 } from '../../tensor/shape.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { blockCount, blockGroups, lanesOf, mayBlock, rowsOf, slicesOf, turnsOf, type Block } from './block.ts'
import { depthwiseLaunch } from './depthwise-walk.ts'
import type { GroupedSizes } from './grouped.ts'
import type { ConvolutionPass } from './sizes.ts'
import '../../gpu/wgsl/depthwise/index.ts'

/** Largest filter, in rows and columns, of the kernels that compute blocks: the code of a row of taps is written out. */
const LARGEST = 7
/** Number of threads to aim for: some 256 for each of the 132 multiprocessors of the largest GPU; half with large filters. */
const WANTED = 32768
/** Most slices of a gradient: a thread of depthwise/finish adds up 1 in 32. */
const MOST_SLICES = 512

/** Largest filter whose rows are written out in the code. */
const SMALL = 3
/** Number of pixels from which an image is large, between the two that were measured: 8×8 and 32×32. */
const LARGE_IMAGE = 16 * 16

/**
 * Returns true if the kernels that compute blocks of pixels compute a pass of a depthwise convolution; the gradient of the input
 * goes with the forward pass, which packs the filters for the others. With large filters they are not always faster (H200, f16,
 * 7×7): [64,32,32,96] takes 40 µs instead of 64, but 143 instead of 113 for the gradient of the weight; [64,8,8,384] 35 µs instead
 * of 28, but 58 instead of 79. Where their blocks are too large for the registers, they are, by a count of instructions, with
 * smaller ones, except where depthwise/backward-weight has room for two rows of sums and four pixels: 2.4 to 3.6 instructions for a
 * multiplication instead of 4.9 to 6 (Adreno 6xx, f16, 7×7; bench/results/qualcomm-compiler.md).
 */
export function computesBlocks(sizes: GroupedSizes, pass: 'forward' | 'backward-weight'): boolean {
  const { P, Q, R, S } = sizes
  if (!mayBlock(sizes) || Math.max(R, S) > LARGEST) return false
  if (hasSmallFilters(sizes)) return true
  const holdsLarge = fitsRegisters(numbersOf(pass, sizes, largeBlock(pass, sizes)))
  if (holdsLarge) return P * Q >= LARGE_IMAGE === (pass === 'forward')
  return pass === 'forward' || !fitsRegisters(4 * (3 * S + 4))
}

/**
 * Returns the block of a thread of a pass: the large one where registers hold what a thread keeps of it, otherwise the small one.
 */
export function depthwiseBlock(pass: ConvolutionPass, sizes: GroupedSizes): Block {
  const large = largeBlock(pass, sizes)
  const block = fitsRegisters(numbersOf(pass, sizes, large)) ? large : smallBlock(pass, sizes)
  return { ...block, TURNS: hasSmallFilters(sizes) ? turnsOf(pass, sizes, block) : 1 }
}

/** Returns how many numbers a thread keeps of a block: its sums, a row of inputs, and what these are multiplied with. */
export function numbersOf(
  pass: ConvolutionPass,
  { S, STRIDE }: GroupedSizes,
  { EACH, DOWN, ACROSS, TAPS }: Omit<Block, 'TURNS'>,
): number {
  const span = (ACROSS - 1) * STRIDE + S
  if (pass === 'backward-weight') return 4 * EACH * (TAPS * S + span + Math.ceil(TAPS / STRIDE) * ACROSS)
  if (pass === 'forward' || STRIDE === 1) return 4 * EACH * (DOWN * ACROSS + span + 1)
  // Cells of the input have STRIDE · STRIDE pixels, and a row of inputs is one of dy.
  return 4 * EACH * (DOWN * ACROSS * STRIDE ** 2 + ACROSS + Math.floor((S - 1) / STRIDE) + 1)
}

function hasSmallFilters({ R, S }: GroupedSizes): boolean {
  return Math.max(R, S) <= SMALL
}

/**
 * Returns the block, without its turns, that has the fewest instructions for a multiplication by Intel's compiler, of those that
 * 64 registers hold, or nearly so.
 */
function smallBlock(pass: ConvolutionPass, sizes: GroupedSizes): Omit<Block, 'TURNS'> {
  const { C, STRIDE } = sizes
  const small = hasSmallFilters(sizes)
  const shared = { EACH: 1, TAPS: 1, LANES: lanesOf(padTo4(C) / 4), THREADS: 128 }
  if (pass === 'backward-weight') return { ...shared, DOWN: 8, ACROSS: small ? 4 : 2 }
  if (pass === 'backward-input' && STRIDE > 1) return { ...shared, DOWN: 1, ACROSS: small ? 2 : 1 }
  return small ? { ...shared, DOWN: 1, ACROSS: 4 / STRIDE } : { ...shared, DOWN: 2, ACROSS: 2 }
}

/**
 * Returns the block, without its turns, for 255 registers. Measured for 3×3 at stride 1: 2×4 pixels of four channels were the fastest
 * of 19 at two shapes of MobileNetV2, a tenth faster than eight channels in a load of 16 bytes, and 0.65 of the time of 4×2 pixels
 * (H200). By a count of instructions and registers for the others: about 64 sums; for large filters wide blocks, as each weight that
 * is loaded from workgroup memory serves a row of pixels; smaller blocks for small images.
 */
function largeBlock(pass: ConvolutionPass, sizes: GroupedSizes): Omit<Block, 'TURNS'> {
  const { N, H, W, P, Q, C, R, STRIDE, dtype } = sizes
  const small = hasSmallFilters(sizes)
  const strided = pass === 'backward-input' && STRIDE > 1
  const EACH = small && strided && dtype === 'f16' && padTo4(C) % 8 === 0 ? 2 : 1
  const chunks = padTo4(C) / 4 / EACH
  const LANES = lanesOf(chunks)
  const [rows, columns] = pass === 'backward-input' ? [H, W] : [P, Q]
  const wanted = small ? WANTED : WANTED / 2
  const threads = (down: number, across: number) =>
    chunks * blockCount(N, rows, columns, { DOWN: down, ACROSS: across })
  const ACROSS = small ? (strided ? 2 : 4) : pass === 'backward-weight' ? 2 : 8
  const highest = small && !strided ? 2 : 4
  const DOWN = [32, 16, 8, 4, 2, 1].find((down, i, all) => {
    if (pass === 'backward-weight') return down <= 8 || threads(down, ACROSS) >= wanted
    return down <= highest && (threads(down, ACROSS) >= wanted || i === all.length - 1)
  })!
  return {
    EACH,
    DOWN: strided ? Math.max(1, DOWN / (2 * STRIDE)) : DOWN,
    ACROSS: strided && !small ? ACROSS / STRIDE : ACROSS,
    TAPS: Math.ceil(R / Math.ceil(R / 4)),
    LANES,
    THREADS: pass === 'backward-weight' && small ? 256 : 128,
  }
}

/** Computes y = x ∗ weight + bias. */
export function blockForward(
  sizes: GroupedSizes,
  tensors: { readonly x: Tensor; readonly weight: Tensor; readonly bias: Tensor | undefined; readonly y: Tensor },
  block: Block = depthwiseBlock('forward', sizes),
): void {
  const { H, W, P, Q, PAD, STRIDE } = sizes
  slide(sizes, { H, W, P, Q, PAD, STRIDE, FLIPPED: 0 }, tensors, block)
}

/** Computes dx from dy. Every pixel of dx is written, with zero where no tap reaches it. */
export function blockBackwardInput(
  sizes: GroupedSizes,
  dy: Tensor,
  weight: Tensor,
  dx: Tensor,
  block: Block = depthwiseBlock('backward-input', sizes),
): void {
  const { N, H, W, P, Q, C, R, S, STRIDE, PAD } = sizes
  if (STRIDE === 1 && R === S && PAD < R) {
    const own = { H: P, W: Q, P: H, Q: W, PAD: R - 1 - PAD, STRIDE, FLIPPED: 1 }
    slide(sizes, own, { x: dy, weight, bias: undefined, y: dx }, block)
    return
  }
  const { EACH, DOWN, ACROSS, TURNS } = block
  const CHUNKS = padTo4(C) / 4 / EACH
  const blocks = blockCount(N, H + PAD, W + PAD, { DOWN: DOWN * STRIDE, ACROSS: ACROSS * STRIDE })
  launch(
    'depthwise/backward-input-block',
    { dy, weight, dx },
    {
      ...depthwiseLaunch(sizes),
      groups: blockGroups(CHUNKS, blocks, block),
      shape: { N, H, W, C, P, Q, PAD, CHUNKS },
      constants: { ...threadsOf(block), EACH, R, S, STRIDE, DOWN, ACROSS, TURNS },
    },
  )
}

/** Returns slices of dw, in f32, which depthwise/finish adds up. */
export function blockBackwardWeight(
  sizes: GroupedSizes,
  x: Tensor,
  dy: Tensor,
  block: Block = depthwiseBlock('backward-weight', sizes),
): Tensor {
  const { N, H, W, P, Q, R, S, C, STRIDE, PAD } = sizes
  const { EACH, DOWN, ACROSS, TAPS, LANES } = block
  const CHUNKS = padTo4(C) / 4 / EACH
  const { RUN, SLICES } = slicesOf(sizes, block, MOST_SLICES)
  const slices = empty({ shape: [SLICES, R * S, C], dtype: 'f32' }, 'slices of dw')
  launch(
    'depthwise/backward-weight-block',
    { x, dy, slices },
    {
      ...depthwiseLaunch(sizes),
      groups: [Math.ceil(CHUNKS / LANES), SLICES, Math.ceil(R / TAPS)],
      shape: { N, H, W, P, Q, R, PAD, CHUNKS, DOWN, RUN },
      constants: { ...threadsOf(block), EACH, TAPS, S, STRIDE, ACROSS },
    },
  )
  return slices
}

/** Launches depthwise/forward-block, which serves two passes. */
function slide(
  sizes: GroupedSizes,
  { STRIDE, ...own }: Readonly<Record<'H' | 'W' | 'P' | 'Q' | 'PAD' | 'STRIDE' | 'FLIPPED', number>>,
  {
    x,
    weight,
    bias,
    y,
  }: { readonly x: Tensor; readonly weight: Tensor; readonly bias: Tensor | undefined; readonly y: Tensor },
  block: Block,
): void {
  const { N, C, R, S } = sizes
  const { EACH, DOWN, ACROSS, TURNS } = block
  const CHUNKS = padTo4(C) / 4 / EACH
  // A binding needs a tensor, of which nothing is read.
  const start = bias ?? empty({ shape: [4], dtype: 'f32' }, 'no bias')
  launch(
    'depthwise/forward-block',
    { x, weight, bias: start, y },
    {
      ...depthwiseLaunch(sizes),
      groups: blockGroups(CHUNKS, blockCount(N, own.P, own.Q, block), block),
      shape: { ...own, N, C, CHUNKS, BIAS: Number(bias !== undefined) },
      constants: { ...threadsOf(block), EACH, R, S, STRIDE, DOWN, ACROSS, TURNS },
    },
  )
  if (!bias) release(start)
}

function threadsOf(block: Block) {
  return { LANES: block.LANES, ROWS: rowsOf(block) }
}
