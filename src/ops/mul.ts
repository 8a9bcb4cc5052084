import { DtypeError, ShapeError } from '../base/errors.ts'
import { elementwise, empty, launch, storageDtype } from '../tensor/launch.ts'
import { defineOp } from '../tensor/op.ts'
import { elementCount, sameShape, storedLastAxis, vectorCount } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { columnTotals } from './plans/column-totals.ts'
import '../gpu/wgsl/mul/index.ts'

interface Plan {
  /** How b is repeated: not at all, for every pixel of its image, or for every row of a. */
  readonly kind: 'alike' | 'gate' | 'channels'
  /** Number of vectors of a, pixels of an image, and vectors of a row. */
  readonly VECTORS: number
  readonly PIXELS: number
  readonly COLUMNS: number
  readonly dtype: 'f32' | 'f16'
}

const op = defineOp<readonly [Tensor, Tensor], undefined, Plan>({
  name: 'mul',
  required: 2,

  plan([a, b]) {
    const kind = kindOf(a, b)
    const type = kind === 'channels' ? 'f32' : a.dtype
    if (b.dtype !== type) {
      throw new DtypeError(
        'mul',
        kind === 'channels' ? 'b, one number per channel, must be f32' : 'the storage types differ',
        {
          given: { a, b },
          expected: `b in ${type}`,
          fix:
            kind === 'channels'
              ? 'pass a parameter as parameter.value, which is f32, whatever the type of a'
              : 'cast one of them',
        },
      )
    }
    const PIXELS = kind === 'gate' ? elementCount(a.shape.slice(1, -1)) : 1
    return { kind, VECTORS: vectorCount(a), PIXELS, COLUMNS: storedLastAxis(a) / 4, dtype: storageDtype(a) }
  },

  forward(plan, [a, b]) {
    const y = empty(a, 'mul')
    multiply(plan, a, b, y)
    return y
  },

  backward(plan, dy, { inputs: [a, b] }, [needsA, needsB], target) {
    const da = needsA ? target(0) : undefined
    if (da) multiply(plan, dy, b, da)
    const db = needsB ? target(1) : undefined
    if (db) gradientOfB(plan, a, dy, db)
    return [da, db]
  },
})

/** @throws ShapeError  if b is none of those that `mul` takes */
function kindOf(a: Tensor, b: Tensor): Plan['kind'] {
  if (sameShape(a.shape, b.shape)) return 'alike'
  const [N, C] = [a.shape[0], a.shape[a.shape.length - 1]]
  const ones = a.shape.map((axis, i) => (i === 0 || i === a.shape.length - 1 ? axis : 1))
  if (a.shape.length > 2 && (sameShape(b.shape, [N, C]) || sameShape(b.shape, ones))) return 'gate'
  if (a.shape.length > 1 && sameShape(b.shape, [C])) return 'channels'
  throw new ShapeError('mul', 'the shapes do not fit', {
    given: { a, b },
    expected: `b in the shape of a${a.shape.length > 2 ? `, or [${N},${C}] for every image` : ''}, or [${C}] for every row`,
  })
}

/** Computes y = a·b. */
function multiply({ kind, VECTORS, PIXELS, COLUMNS }: Plan, a: Tensor, b: Tensor, y: Tensor): void {
  const options = elementwise(y)
  if (kind === 'channels') launch('mul/channels', { x: a, scale: b, y }, { ...options, shape: { VECTORS, COLUMNS } })
  else launch('mul/forward', { a, b, y }, { ...options, shape: { VECTORS, PIXELS, COLUMNS } })
}

function gradientOfB(plan: Plan, a: Tensor, dy: Tensor, db: Tensor): void {
  const { kind, PIXELS, COLUMNS: VECTORS, dtype } = plan
  if (kind === 'channels') columnTotals(dy, db, a)
  else if (kind === 'alike') multiply(plan, dy, a, db)
  else {
    const N = a.shape[0]
    const groups = Math.ceil((N * VECTORS) / 64)
    launch('mul/backward-gate', { a, dy, db }, { groups, shape: { N, PIXELS, VECTORS }, dtype })
  }
}

/**
 * Multiplies element by element; b may stand for all pixels of an image, or for all rows.
 *
 *   y = a·b
 *
 * @param a  any shape, f16 | f32
 * @param b  shape and type of a; for a [N,…,C] also [N,C] or [N,1,1,C] in the type of a, the gate of an image, or [C] f32, a
 *           factor per channel, such as a layer scale
 * @returns  shape and type of a
 * @throws ShapeError, DtypeError  if b is none of these
 */
export function mul(a: Tensor, b: Tensor): Tensor {
  return op([a, b], undefined)
}
