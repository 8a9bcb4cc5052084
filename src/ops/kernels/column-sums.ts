import { currentGpu } from '../../gpu/device.ts'

/**
 * How sums over all rows of a matrix of vectors, one for each column, are spread over the GPU: `runs` partial sums over
 * SLICES runs of RUN rows each, then `totals` of these. LANES and ROWS are told in shaders/lib/rows.wgsl.
 */
export interface ColumnSums {
  readonly RUN: number
  readonly SLICES: number
  readonly runs: Spread
  readonly totals: Spread
}

interface Spread {
  readonly constants: { readonly LANES: number; readonly ROWS: number }
  readonly groups: readonly [number, number, number]
}

/** Threads of a workgroup on a GPU. */
const THREADS = 256
/** Workgroups wanted: a few for each core of a CPU; on a GPU a few for each of the 132 multiprocessors of the largest. */
const WANTED = { broadcast: 32, tile: 512 }
/** Rows that one thread should at least add up: fewer are not worth the sum of the slices. */
const SHORTEST = 16

/** @param rows  of the matrix   @param columns  vectors of four in a row */
export function columnSums(rows: number, columns: number): ColumnSums {
  const { family } = currentGpu()
  const inTile = family === 'tile'
  const lanes = inTile ? Math.min(32, powerOfTwo(columns)) : 8
  const runs = { LANES: lanes, ROWS: inTile ? THREADS / lanes : 1 }
  const totals = inTile ? { LANES: 4, ROWS: THREADS / 4 } : runs
  const tiles = Math.ceil(columns / runs.LANES)
  const wanted = Math.min(Math.ceil(WANTED[family] / tiles), Math.ceil(rows / (runs.ROWS * SHORTEST)))
  const RUN = Math.ceil(rows / wanted)
  // Of the length that the runs now have; every one has at least one row.
  const SLICES = Math.ceil(rows / RUN)
  return {
    RUN,
    SLICES,
    runs: { constants: runs, groups: [tiles, SLICES, 1] },
    totals: { constants: totals, groups: [Math.ceil(columns / totals.LANES), 1, 1] },
  }
}

function powerOfTwo(atLeast: number): number {
  return 2 ** Math.ceil(Math.log2(atLeast))
}
