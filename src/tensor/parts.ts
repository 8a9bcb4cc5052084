import { GRID_LIMIT } from '../gpu/flags.ts'
import { DTYPE_BYTES } from './dtype.ts'
import { allocateWithin } from './scope.ts'
import { elementCount, storedLastAxis, type Spec } from './shape.ts'
import type { Tensor } from './tensor.ts'

/** Divisor of the items of a part: the size of a part is then a multiple of 256 bytes, where a binding may begin. */
const MULTIPLE = 64

/**
 * Splits tensors of two or more axes along the first axis, which they share, into parts without a copy.
 *
 * @param most  most items of a part, a multiple of 64. Default: the most workgroups per dimension of a dispatch
 * @yields      the same part of every tensor; the tensors themselves if one part is enough
 */
export function* parts<Name extends string>(
  tensors: Readonly<Record<Name, Tensor>>,
  most = Math.floor(GRID_LIMIT / MULTIPLE) * MULTIPLE,
): Generator<Readonly<Record<Name, Tensor>>> {
  const entries = Object.entries<Tensor>(tensors)
  const [count] = entries[0][1].shape
  if (count <= most) return yield tensors
  for (let first = 0; first < count; first += most) {
    const items = Math.min(most, count - first)
    const part = entries.map(
      ([name, whole]) =>
        [
          name,
          allocateWithin(
            whole,
            { shape: [items, ...whole.shape.slice(1)], dtype: whole.dtype },
            first * itemBytes(whole),
          ),
        ] as const,
    )
    yield Object.fromEntries(part) as Record<Name, Tensor>
  }
}

function itemBytes(of: Spec): number {
  return elementCount(of.shape.slice(1, -1)) * storedLastAxis(of) * DTYPE_BYTES[of.dtype]
}
