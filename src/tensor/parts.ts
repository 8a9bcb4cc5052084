import { GRID_LIMIT } from '../gpu/prelude.ts'
import { DTYPE_BYTES } from './dtype.ts'
import { allocateWithin } from './scope.ts'
import { elementCount, storedLastAxis, type Spec } from './shape.ts'
import type { Tensor } from './tensor.ts'

/** Items of a part: their bytes are then a multiple of 256, at which a binding may begin. */
const MULTIPLE = 64

/**
 * Parts of tensors that share the first of their two or more axes, each part of all of them at once and without a copy.
 *
 * @param most  items of a part, a multiple of 64. Default: as many as a dimension of a dispatch takes
 * @yields      the tensors themselves where one part is enough
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
