import { currentGpu } from '../../gpu/device.ts'
import { GRID_LIMIT } from '../../gpu/prelude.ts'

/**
 * Kernels over a matrix [pixels, vectors of four channels] in which a thread keeps to one column, so that what belongs
 * to the channels is read once. A workgroup is LANES columns side by side times ROWS rows that take turns, and works on
 * RUN rows of the matrix.
 */
export interface ColumnLaunch {
  readonly constants: { readonly LANES: number; readonly ROWS: number }
  readonly groups: readonly [number, number, number]
}

/** Sums down the columns: `runs` adds up SLICES runs of RUN rows each, `totals` adds up these. See shaders/lib/rows.wgsl. */
export interface ColumnSums {
  readonly RUN: number
  readonly SLICES: number
  readonly runs: ColumnLaunch
  readonly totals: ColumnLaunch
}

/** Threads of a workgroup on a GPU. */
const THREADS = 256
/** Workgroups wanted: some for each core of a CPU; a few for each of the 132 multiprocessors of the largest GPU. */
const WANTED = { broadcast: 32, tile: 512 }
/** Rows a thread should at least go through, where that leaves work for all: fewer do not repay its beginning and end. */
const SHORTEST = 16
/**
 * Rows a thread goes through that writes one result for each. On llvmpipe a loop of 128 took 2.8 ms for 4 Mi f16
 * channels, threads of 4 rows 6.3 ms (they divide to find their column); a GPU hides its latency with threads instead.
 */
const LONGEST = { broadcast: 128, tile: 4 }

/** How sums over all rows, one for each column, are spread. */
export function columnSums(rows: number, columns: number): ColumnSums {
  const { family } = currentGpu()
  const runs = workgroup(columns)
  // Few columns and few partial sums are left: more of a GPU's threads go down than across.
  const totals = family === 'tile' ? { LANES: 4, ROWS: THREADS / 4 } : runs
  const tiles = Math.ceil(columns / runs.LANES)
  const wanted = Math.min(Math.ceil(WANTED[family] / tiles), Math.ceil(rows / (runs.ROWS * SHORTEST)))
  const RUN = Math.ceil(rows / wanted)
  // Counted anew, so that every run has at least one row.
  const SLICES = Math.ceil(rows / RUN)
  return {
    RUN,
    SLICES,
    runs: { constants: runs, groups: [tiles, SLICES, 1] },
    totals: { constants: totals, groups: [Math.ceil(columns / totals.LANES), 1, 1] },
  }
}

/** How a pass that writes something for every element is spread. */
export function columnPass(rows: number, columns: number): ColumnLaunch & { readonly RUN: number } {
  const { family } = currentGpu()
  const constants = workgroup(columns)
  const tiles = Math.ceil(columns / constants.LANES)
  const each = Math.ceil((rows * tiles) / (constants.ROWS * WANTED[family]))
  const turns = Math.min(LONGEST[family], Math.max(SHORTEST, each))
  const RUN = Math.max(turns * constants.ROWS, Math.ceil(rows / GRID_LIMIT))
  return { RUN, constants, groups: [tiles, Math.ceil(rows / RUN), 1] }
}

/** Only as many lanes as there are columns; in the broadcast family one subgroup of llvmpipe, which has no barriers. */
function workgroup(columns: number): ColumnLaunch['constants'] {
  if (currentGpu().family === 'broadcast') return { LANES: 8, ROWS: 1 }
  const LANES = Math.min(32, 2 ** Math.ceil(Math.log2(columns)))
  return { LANES, ROWS: THREADS / LANES }
}
