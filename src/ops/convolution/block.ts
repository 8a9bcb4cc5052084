import { currentGpu } from '../../gpu/device.ts'
import { fewestIdle, workgroupThreads } from '../../gpu/grid.ts'
import type { ConvolutionPass, ConvolutionSizes } from './sizes.ts'

/** Largest stride of the kernels that compute blocks: neighbouring pixels of a larger one share little. */
const LARGEST_STRIDE = 2

/** Constants of the kernels that compute blocks of pixels on a GPU, which change how fast they are and nothing else. */
export interface Block {
  /** Vectors of four channels of a thread: 1, or 2 in f16 where channels are stored as whole eights. */
  readonly EACH: number
  /** Rows and columns of pixels of a thread; of cells of stride · stride pixels in gradients of the input with a stride. */
  readonly DOWN: number
  readonly ACROSS: number
  /** Rows of the image that are written out in the code. */
  readonly TURNS: number
  /** Rows of the filter of which a thread sums the gradient. */
  readonly TAPS: number
  /** Columns of a workgroup: vectors of channels, or what has sums of its own. */
  readonly LANES: number
  /** Most threads of a workgroup. */
  readonly THREADS: number
}

/** Returns true if the kernels that compute blocks of pixels may compute a convolution: on a GPU. */
export function mayBlock({ STRIDE, DILATION }: ConvolutionSizes & { readonly DILATION: number }): boolean {
  return currentGpu().family !== 'broadcast' && DILATION === 1 && STRIDE <= LARGEST_STRIDE
}

/** Counts of lanes to choose from: eight threads with neighbouring vectors load 64 bytes of f16. */
const LANE_COUNTS = [8, 7, 6, 5, 4]

/** Returns how many lanes leave the fewest idle, as many as columns if these are few. */
export function lanesOf(columns: number): number {
  return columns <= LANE_COUNTS[0] ? columns : fewestIdle(columns, LANE_COUNTS)
}

/** Returns the rows of threads of a workgroup. */
export function rowsOf({ LANES, THREADS }: Pick<Block, 'LANES' | 'THREADS'>): number {
  return Math.floor(workgroupThreads(THREADS) / LANES)
}

/** Returns the number of blocks of some images. */
export function blockCount(
  images: number,
  rows: number,
  columns: number,
  { DOWN, ACROSS }: Pick<Block, 'DOWN' | 'ACROSS'>,
): number {
  return images * Math.ceil(rows / DOWN) * Math.ceil(columns / ACROSS)
}

/** Returns the number of workgroups of a pass over a number of columns and of blocks. */
export function blockGroups(columns: number, blocks: number, block: Pick<Block, 'LANES' | 'THREADS'>): number {
  return Math.ceil(columns / block.LANES) * Math.ceil(blocks / rowsOf(block))
}

/** Returns the slices of a gradient of filters, one per workgroup: ROWS threads of RUN blocks each, more of them rather than more than `most` slices. */
export function slicesOf({ N, P, Q }: ConvolutionSizes, block: Block, most: number) {
  const ROWS = rowsOf(block)
  const blocks = blockCount(N, P, Q, block)
  const RUN = Math.ceil(blocks / (ROWS * most))
  return { ROWS, RUN, SLICES: Math.ceil(blocks / (ROWS * RUN)) }
}

/** Returns the rows of the image that a block of a pass is made of. */
export function turnsOf(
  pass: ConvolutionPass,
  { R, STRIDE }: Pick<ConvolutionSizes, 'R' | 'STRIDE'>,
  { DOWN }: Pick<Block, 'DOWN'>,
): number {
  if (pass === 'backward-input' && STRIDE > 1) return Math.floor((R - 1) / STRIDE) + DOWN
  return (DOWN - 1) * STRIDE + R
}
