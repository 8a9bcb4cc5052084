import { DtypeError, ShapeError } from '../../base/errors.ts'
import { formatShape } from '../../base/format.ts'
import { launch, storageDtype } from '../../tensor/launch.ts'
import { elementCount, storedLastAxis } from '../../tensor/shape.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import '../../gpu/wgsl/linear/add-bias.ts'

/** Requires a bias [O] f32. @throws ShapeError, DtypeError  if it is another tensor */
export function requireBias(
  where: string,
  bias: Tensor,
  outputs: number,
  others: Readonly<Record<string, Tensor>>,
): void {
  const given = { ...others, [bias.name ?? 'bias']: bias }
  if (bias.shape.length !== 1 || bias.shape[0] !== outputs) {
    throw new ShapeError(where, 'there must be one bias per output', {
      given,
      expected: `the bias as ${formatShape([outputs])}`,
    })
  }
  if (bias.dtype !== 'f32') throw new DtypeError(where, 'the bias must be f32, for any type of x', { given })
}

/** Adds a bias, [O] f32, to every row of y, […,O], in place. */
export function addBias(bias: Tensor, y: Tensor): void {
  const N = elementCount(y.shape.slice(0, -1))
  const COLUMNS = storedLastAxis(y) / 4
  const groups = Math.ceil((N * COLUMNS) / 64)
  launch('linear/add-bias', { bias, y }, { groups, shape: { N, COLUMNS }, dtype: storageDtype(y) })
}
