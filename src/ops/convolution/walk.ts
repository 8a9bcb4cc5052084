import { currentGpu } from '../../gpu/device.ts'
import { fewestIdle, type Grid } from '../../gpu/grid.ts'
import type { ConvolutionSizes } from './sizes.ts'

/** Largest stride of the kernels that walk: a column of the image that they load belongs to fewer columns of the result. */
const LARGEST_STRIDE = 2
/** Number of workgroups to aim for, some per core: each loads its filters anew. */
const WANTED = 32

/**
 * Returns true if the kernels that walk along the rows of an image may compute a convolution: on a processor, where what counts
 * is how many numbers are loaded and how much code is run through.
 */
export function mayWalk({ STRIDE, DILATION }: ConvolutionSizes & { readonly DILATION: number }): boolean {
  return currentGpu().family === 'broadcast' && DILATION === 1 && STRIDE <= LARGEST_STRIDE
}

/**
 * Returns the number of rows that a thread walks along at once. Two share what they load; with a stride they share less, and
 * with sixteen lanes the code of two is beyond the cache of decoded instructions. On llvmpipe, Mesa 25.0.7, two rows of 3×3 / 2
 * take 0.7 to 0.8 of the time of one with eight lanes, and as long or longer with sixteen, which compile 1.6 times as long.
 */
export function rowsEach(stride: number): number {
  return stride === 1 || !isWide() ? 2 : 1
}

/** Returns true if subgroups have at least sixteen lanes, as llvmpipe's do with vectors of 512 bits. */
function isWide(): boolean {
  return currentGpu().subgroupSize >= 16
}

/**
 * Returns the grid of threads that have one vector of channels and RUN strips of rows each: of lanes in a subgroup, as few as
 * possible are idle.
 */
export function walkGrid(strips: number, vectors: number): Grid & { readonly RUN: number } {
  const threads = isWide() ? 16 : 8
  const LANES = fewestIdle(vectors, [threads, threads / 2, threads / 4])
  const ROWS = threads / LANES
  const columns = Math.ceil(vectors / LANES)
  const RUN = Math.max(1, Math.floor(strips / (ROWS * Math.ceil(WANTED / columns))))
  return { RUN, constants: { LANES, ROWS }, groups: [columns, Math.ceil(strips / (ROWS * RUN)), 1] }
}
