import { DtypeError, ShapeError } from '../../base/errors.ts'
import { formatShape } from '../../base/format.ts'
import type { Tensor } from '../../tensor/tensor.ts'

/** Requires tensors of one number per channel of x, [C] f32. @throws ShapeError, DtypeError  about the first that is another */
export function requirePerChannel(where: string, x: Tensor, tensors: Readonly<Record<string, Tensor>>): void {
  const C = x.shape[x.shape.length - 1]
  for (const [name, given] of Object.entries(tensors)) {
    const wrong = {
      given: { x, [name]: given },
      expected: `${formatShape({ shape: [C], dtype: 'f32' })}, one number per channel of x`,
    }
    if (given.shape.length !== 1 || given.shape[0] !== C) {
      throw new ShapeError(where, `${name} does not fit the channels of x`, wrong)
    }
    if (given.dtype !== 'f32') throw new DtypeError(where, `${name} is not f32`, wrong)
  }
}
