import { DtypeError, ShapeError } from '../base/errors.ts'
import { empty, launch, storageDtype } from '../tensor/launch.ts'
import { defineOp } from '../tensor/op.ts'
import { elementCount, padTo4, sameShape, type Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import '../gpu/wgsl/concat/index.ts'

interface Plan {
  readonly output: Shape
  readonly N: number
  /** Number of elements in a row of each input. */
  readonly columns: readonly [number, number]
  readonly dtype: 'f32' | 'f16'
}

const op = defineOp<readonly [Tensor, Tensor], undefined, Plan>({
  name: 'concat',
  required: 2,

  plan([a, b]) {
    const [rows, columns] = [a.shape.slice(0, -1), a.shape.at(-1) ?? 0]
    if (a.dtype !== b.dtype) {
      throw new DtypeError('concat', 'the storage types differ', { given: { a, b }, fix: 'cast one of them' })
    }
    if (columns === 0 || !sameShape(rows, b.shape.slice(0, -1)) || a.shape.length !== b.shape.length) {
      throw new ShapeError('concat', 'the shapes differ in more than the last axis', {
        given: { a, b },
        expected: `b as [${[...rows, 'any number'].join(',')}]`,
      })
    }
    const last = b.shape[b.shape.length - 1]
    return {
      output: [...rows, columns + last],
      N: elementCount(rows),
      columns: [columns, last],
      dtype: storageDtype(a),
    }
  },

  forward({ output, N, columns: [A, B], dtype }, [a, b]) {
    const y = empty({ shape: output, dtype: a.dtype }, 'concat')
    launch('concat/forward', { a, b, y }, { groups: groupsOf(N, A + B), shape: { N, A, B }, dtype })
    return y
  },

  backward({ N, columns, dtype }, dy, _saved, needs, target) {
    const WHOLE = columns[0] + columns[1]
    return columns.map((COLUMNS, i) => {
      if (!needs[i]) return undefined
      const dx = target(i)
      const shape = { N, WHOLE, FIRST: i === 0 ? 0 : columns[0], COLUMNS }
      launch('concat/backward', { dy, dx }, { groups: groupsOf(N, COLUMNS), shape, dtype })
      return dx
    })
  },
})

/** Returns the number of workgroups for rows of the given length. */
function groupsOf(rows: number, columns: number): number {
  return Math.ceil((rows * padTo4(columns)) / 4 / 64)
}

/**
 * Concatenates two tensors along the last axis.
 *
 *   y[…,j] = a[…,j] for j < A, otherwise b[…,j − A]
 *
 * @param a  […,A] f16 | f32
 * @param b  […,B] in the type of a
 * @returns  […,A + B] in the type of a
 * @throws ShapeError, DtypeError  if the two differ in more than the last axis
 */
export function concat(a: Tensor, b: Tensor): Tensor {
  return op([a, b], undefined)
}
