import { currentGpu } from '../../gpu/device.ts'
import type { LaunchOptions } from '../../gpu/pipeline-cache.ts'
import { GRID_LIMIT } from '../../gpu/prelude.ts'

/**
 * How work on a matrix is spread over the threads of the two families of GPUs. The matrix is one of vectors of four,
 * [rows, columns], as [N·H·W, C/4]; a workgroup has LANES · ROWS threads, see shaders/lib/rows.wgsl.
 */
export interface Spread {
  readonly constants: { readonly LANES: number; readonly ROWS: number }
  readonly groups: readonly [number, number, number]
}

/** Sums in two launches: `runs` adds up SLICES runs of RUN rows each, `total` adds up what they found. */
export interface SumSpread {
  readonly RUN: number
  readonly SLICES: number
  readonly runs: Spread
  readonly total: Spread
}

/** Columns side by side: a subgroup of llvmpipe, or half of one; on a GPU 64 bytes of f16 at a time, and a net's narrowest maps. */
const LANES = 8
/** Threads that share a column: on llvmpipe none, since sums then need barriers; on a GPU a workgroup of 256. */
const ROWS = { broadcast: 1, tile: 32 }
/** Workgroups wanted: some for each core of a CPU; a few for each of the 132 multiprocessors of the largest GPU. */
const WANTED = { broadcast: 32, tile: 512 }
/** Rows a thread should at least go through, where that leaves work for all: fewer do not repay its beginning and end. */
const SHORTEST = 16
/**
 * Rows a thread goes through that writes one result for each. On llvmpipe a loop of 128 took 2.8 ms for 4 Mi f16
 * channels, threads of 4 rows 6.3 ms (they divide to find their column); a GPU hides its latency with threads instead.
 */
const LONGEST = { broadcast: 128, tile: 4 }

/** A processor wants to be spared barriers, a GPU to be given threads, whatever multiplies its matrices. */
function spreadFamily(): 'broadcast' | 'tile' {
  return currentGpu().family === 'broadcast' ? 'broadcast' : 'tile'
}

/** Sums down the columns: a lane is a column. */
export function columnSums(rows: number, columns: number): SumSpread {
  const family = spreadFamily()
  const constants = { LANES, ROWS: ROWS[family] }
  const tiles = Math.ceil(columns / LANES)
  const wanted = Math.min(Math.ceil(WANTED[family] / tiles), Math.ceil(rows / (ROWS[family] * SHORTEST)))
  const RUN = Math.ceil(rows / wanted)
  // Counted anew, so that every run has at least one row.
  const SLICES = Math.ceil(rows / RUN)
  return { RUN, SLICES, runs: { constants, groups: [tiles, SLICES, 1] }, total: { constants, groups: [tiles, 1, 1] } }
}

/** The sum of everything: that of a matrix as wide as a workgroup, then the sum of its columns. */
export function flatSum(vectors: number): SumSpread & { readonly PARTS: number } {
  const sums = columnSums(Math.ceil(vectors / LANES), LANES)
  return {
    ...sums,
    PARTS: sums.SLICES * LANES,
    runs: { ...sums.runs, groups: [sums.SLICES, 1, 1] },
    total: oneWorkgroup(),
  }
}

/** One column, for one workgroup. */
export function oneWorkgroup(): Spread {
  return { constants: { LANES: 1, ROWS: spreadFamily() === 'tile' ? 256 : 1 }, groups: [1, 1, 1] }
}

/** A pass that writes something for every element: a lane is a column, and a workgroup goes through RUN rows. */
export function columnPass(rows: number, columns: number): Spread & { readonly RUN: number } {
  const family = spreadFamily()
  const constants = busyThreads(columns)
  const tiles = Math.ceil(columns / constants.LANES)
  const each = Math.ceil((rows * tiles) / (constants.ROWS * WANTED[family]))
  const turns = Math.min(LONGEST[family], Math.max(SHORTEST, each))
  const RUN = Math.max(turns * constants.ROWS, Math.ceil(rows / GRID_LIMIT))
  return { RUN, constants, groups: [tiles, Math.ceil(rows / RUN), 1] }
}

/**
 * The threads of a workgroup where nothing is summed. Of a subgroup of sixteen lanes on llvmpipe all are busy: sixteen
 * columns, or two rows of eight. Batch norm's forward and backward passes take 12 to 27% less time than with eight,
 * max-pool's backward 40%. Sums do not gain by it.
 */
function busyThreads(columns: number): Spread['constants'] {
  const family = spreadFamily()
  if (family === 'tile' || currentGpu().subgroupSize < 16) return { LANES, ROWS: ROWS[family] }
  return columns < 16 ? { LANES, ROWS: 2 } : { LANES: 16, ROWS: 1 }
}

/** A pass over [images, rows, …, vectors]: a lane is a vector of channels, and a workgroup goes through one row. */
export function imagePass(images: number, rows: number, vectors: number): Spread {
  const constants = busyThreads(vectors)
  return { constants, groups: [Math.ceil(vectors / constants.LANES), rows, images] }
}

/** Something found of each row: a lane is a row of the matrix, and the threads of a lane share its columns. */
export function rowPass(rows: number): Spread {
  const constants = spreadFamily() === 'tile' ? { LANES: 1, ROWS: 64 } : { LANES, ROWS: 1 }
  return { constants, groups: [Math.ceil(rows / constants.LANES), 1, 1] }
}

/** The options of a launch that is spread so. */
export function spreadBy({ constants, groups }: Spread, options: Omit<LaunchOptions, 'groups'>): LaunchOptions {
  return { ...options, groups, constants: { ...constants, ...options.constants } }
}
