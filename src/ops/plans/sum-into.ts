import { columnSums, LANES, oneWorkgroup, onGrid } from '../../gpu/grid.ts'
import { empty, launch, storageDtype } from '../../tensor/launch.ts'
import { release } from '../../tensor/scope.ts'
import { vectorCount } from '../../tensor/shape.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import '../../gpu/wgsl/sum/runs.ts'
import '../../gpu/wgsl/sum/total.ts'

/**
 * Computes total, [] f32: the sum of all numbers of x, f16 | f32, divided by DIVISOR. First come the columns of x as a matrix
 * that is as wide as a workgroup, in runs of its rows, and then their totals.
 */
export function sumInto(total: Tensor, x: Tensor, DIVISOR = 1): void {
  const VECTORS = vectorCount(x)
  const { RUN, SLICES, runs } = columnSums(Math.ceil(VECTORS / LANES), LANES)
  const COUNT = SLICES * LANES
  const partial = empty({ shape: [4 * COUNT], dtype: 'f32' }, 'partial sums')
  const ofRuns = { shape: { VECTORS, RUN }, dtype: storageDtype(x) }
  launch('sum/runs', { x, partial }, onGrid({ ...runs, groups: SLICES }, ofRuns))
  launch('sum/total', { partial, total }, onGrid(oneWorkgroup(), { shape: { COUNT, DIVISOR } }))
  release(partial)
}
