import { currentGpu } from '../../gpu/device.ts'
import type { Grid } from '../../gpu/grid.ts'
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
 * Returns the number of rows that a thread walks along at once. Two share what they load; with a stride they share little, and
 * the code grows beyond the cache of decoded instructions.
 */
export function rowsEach(stride: number): number {
  return stride === 1 ? 2 : 1
}

/**
 * Returns the grid of threads that have one vector of channels and RUN strips of rows each: of lanes in a subgroup, as few as
 * possible are idle.
 */
export function walkGrid(strips: number, vectors: number): Grid & { readonly RUN: number } {
  const threads = currentGpu().subgroupSize < 16 ? 8 : 16
  const idle = (lanes: number) => Math.ceil(vectors / lanes) * lanes
  const LANES = [threads, threads / 2, threads / 4].reduce((one, other) => (idle(other) < idle(one) ? other : one))
  const ROWS = threads / LANES
  const columns = Math.ceil(vectors / LANES)
  const RUN = Math.max(1, Math.floor(strips / (ROWS * Math.ceil(WANTED / columns))))
  return { RUN, constants: { LANES, ROWS }, groups: [columns, Math.ceil(strips / (ROWS * RUN)), 1] }
}
