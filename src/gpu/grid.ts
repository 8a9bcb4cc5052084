import { currentGpu } from './device.ts'
import type { LaunchOptions } from './pipeline-cache.ts'
import { GRID_LIMIT } from './flags.ts'
import { mostThreads } from './workgroup.ts'

/**
 * Grid of a launch over a matrix of vectors of four, [rows, columns], such as [N·H·W, C/4], in the layout that suits
 * the family of the GPU. A workgroup has LANES · ROWS threads, see shaders/lib/rows.wgsl.
 */
export interface Grid {
  readonly constants: { readonly LANES: number; readonly ROWS: number }
  readonly groups: readonly [number, number, number]
}

/** Grids of a sum in two launches: `runs` adds up SLICES runs of RUN rows each, `total` adds up their results. */
export interface SumGrids {
  readonly RUN: number
  readonly SLICES: number
  readonly runs: Grid
  readonly total: Grid
}

/**
 * Neighbouring columns of a workgroup: a subgroup of llvmpipe, or half of one; on a GPU 64 bytes of f16, the width of
 * the narrowest feature maps of a network.
 */
export const LANES = 8
/** Threads of a workgroup on a GPU, where the device allows as many. */
const THREADS = 256
/** Number of workgroups to aim for: some per core of a CPU, a few per multiprocessor (132) of the largest GPU. */
export const WANTED = { broadcast: 32, tile: 512 }
/** Least number of rows per thread, if enough work remains for all threads: fewer do not repay the cost of a thread. */
const SHORTEST = 16
/**
 * Most rows per thread, if each row has a result of its own. On llvmpipe a loop of 128 took 2.8 ms for 4 Mi f16
 * channels and threads of 4 rows 6.3 ms (they divide to find their column); a GPU hides its latency with threads instead.
 */
const LONGEST = { broadcast: 128, tile: 4 }

/** Returns the layout that suits the GPU: few barriers on a processor, many threads on a GPU, with or without matrix units. */
function gridFamily(): 'broadcast' | 'tile' {
  return currentGpu().family === 'broadcast' ? 'broadcast' : 'tile'
}

/** Returns the wanted number of threads of a workgroup, or as many as the device allows. */
export function workgroupThreads(wanted: number): number {
  return Math.min(wanted, mostThreads(currentGpu().device.limits))
}

/**
 * Returns the number of threads that share a column: one on llvmpipe, since shared sums need barriers; on a GPU, a power of
 * two for a workgroup of `THREADS`.
 */
function rowsOf(lanes: number): number {
  return gridFamily() === 'broadcast' ? 1 : 2 ** Math.floor(Math.log2(workgroupThreads(THREADS) / lanes))
}

/** Returns the grids that sum each column; each lane has one column. */
export function columnSums(rows: number, columns: number): SumGrids {
  const constants = { LANES, ROWS: rowsOf(LANES) }
  const tiles = Math.ceil(columns / LANES)
  const wanted = Math.min(Math.ceil(WANTED[gridFamily()] / tiles), Math.ceil(rows / (constants.ROWS * SHORTEST)))
  const RUN = Math.ceil(rows / wanted)
  // Computed from RUN, so that every run has at least one row.
  const SLICES = Math.ceil(rows / RUN)
  return { RUN, SLICES, runs: { constants, groups: [tiles, SLICES, 1] }, total: { constants, groups: [tiles, 1, 1] } }
}

/** Returns the grid of a single workgroup, for one column. */
export function oneWorkgroup(): Grid {
  return { constants: { LANES: 1, ROWS: rowsOf(1) }, groups: [1, 1, 1] }
}

/** Returns the grid of an element-wise pass: each lane has one column, each workgroup RUN rows. */
export function columnPass(rows: number, columns: number): Grid & { readonly RUN: number } {
  const family = gridFamily()
  const constants = busyThreads()
  const tiles = Math.ceil(columns / constants.LANES)
  const each = Math.ceil((rows * tiles) / (constants.ROWS * WANTED[family]))
  const turns = Math.min(LONGEST[family], Math.max(SHORTEST, each))
  const RUN = Math.max(turns * constants.ROWS, Math.ceil(rows / GRID_LIMIT))
  return { RUN, constants, groups: [tiles, Math.ceil(rows / RUN), 1] }
}

/**
 * Returns the threads of a workgroup that sums nothing. A subgroup of sixteen lanes on llvmpipe is used entirely, by two rows
 * of eight columns: forward and backward of batch norm take 12 to 27% less time than with one row, backward of max-pool 40%.
 * Sums do not gain by it.
 */
function busyThreads(): Grid['constants'] {
  const family = gridFamily()
  if (family === 'tile' || currentGpu().subgroupSize < 16) return { LANES, ROWS: rowsOf(LANES) }
  return { LANES, ROWS: 2 }
}

/**
 * Returns the grid of a pass over [images, rows, columns, vectors], whose columns may be strips of several pixels: each lane has
 * one vector of channels, each workgroup one row, whose columns the rows of threads share.
 */
export function imagePass(images: number, rows: number, columns: number, vectors: number): Grid {
  const constants = gridFamily() === 'broadcast' ? busyThreads() : fittingThreads(columns, vectors)
  return { constants, groups: [Math.ceil(vectors / constants.LANES), rows, images] }
}

/** Returns threads for columns and vectors on a GPU: as many rows of threads as there are columns, and lanes of which few are idle. */
function fittingThreads(columns: number, vectors: number): Grid['constants'] {
  const ROWS = Math.min(16, 2 ** Math.ceil(Math.log2(columns)))
  const counts = [64, 32, 16, 8].filter((lanes) => lanes * ROWS >= 32 && lanes * ROWS <= 128)
  return { LANES: fewestIdle(vectors, counts), ROWS }
}

/** Returns the count of lanes, the first of equal ones, of which the fewest are idle when they share columns. */
export function fewestIdle(columns: number, counts: readonly number[]): number {
  const needed = (lanes: number) => Math.ceil(columns / lanes) * lanes
  return counts.reduce((best, lanes) => (needed(lanes) < needed(best) ? lanes : best))
}

/**
 * Returns the grid that reduces each row, as a count of workgroups: each lane has one row of the matrix, whose columns its threads
 * share.
 */
export function rowPass(rows: number): Pick<Grid, 'constants'> & { readonly groups: number } {
  const constants = gridFamily() === 'tile' ? { LANES: 1, ROWS: 64 } : { LANES, ROWS: 1 }
  return { constants, groups: Math.ceil(rows / constants.LANES) }
}

/** Returns options of a launch completed with a grid. */
export function onGrid(
  { constants, groups }: Pick<LaunchOptions, 'constants' | 'groups'>,
  options: Omit<LaunchOptions, 'groups'>,
): LaunchOptions {
  return { ...options, groups, constants: { ...constants, ...options.constants } }
}
