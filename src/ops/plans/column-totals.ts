import { columnSums, onGrid } from '../../gpu/grid.ts'
import { empty, launch, storageDtype } from '../../tensor/launch.ts'
import { release } from '../../tensor/scope.ts'
import { elementCount, storedLastAxis } from '../../tensor/shape.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import '../../gpu/wgsl/columns/index.ts'

/**
 * Computes the gradient of a parameter that acts on every channel: the sums of dy, or of dy·x, over all axes except the last.
 *
 * @param dy     […,C] f16 | f32
 * @param total  [C] f32, which is written and checked for overflow
 * @param x      shape and type of dy. Default: the sums of dy alone
 */
export function columnTotals(dy: Tensor, total: Tensor, x?: Tensor): void {
  const VECTORS = storedLastAxis(dy) / 4
  const PIXELS = elementCount(dy.shape.slice(0, -1))
  const { RUN, SLICES, runs, total: last } = columnSums(PIXELS, VECTORS)
  const slices = empty({ shape: [SLICES, ...total.shape], dtype: 'f32' }, 'sums of runs')
  launch(
    'columns/sums',
    { x: x ?? dy, dy, slices },
    onGrid(runs, {
      constants: { PRODUCT: x !== undefined },
      shape: { PIXELS, RUN, VECTORS },
      dtype: storageDtype(dy),
    }),
  )
  totalOf(slices, total, SLICES, VECTORS, last)
  release(slices)
}

/** Adds up slices, [SLICES,C], into the gradient of a parameter, [C], and checks it for overflow. */
export function totalOf(
  slices: Tensor,
  total: Tensor,
  SLICES: number,
  VECTORS: number,
  grid: ReturnType<typeof columnSums>['total'],
): void {
  launch('columns/total', { slices, total }, onGrid(grid, { shape: { SLICES, VECTORS } }))
}
