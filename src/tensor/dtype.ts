import { DtypeError } from '../base/errors.ts'

/**
 * Storage type: f32; f16, two packed in a u32 (arithmetic is f32, no device feature needed); or u32 for labels, counters
 * and pixels, one RGBA u32 each.
 */
export type Dtype = 'f32' | 'f16' | 'u32'

/** Size of one element of each storage type, in bytes. */
export const DTYPE_BYTES: Readonly<Record<Dtype, number>> = { f32: 4, f16: 2, u32: 4 }

/** Requires a known storage type, for callers without a type checker. @throws DtypeError  if it is unknown */
export function checkDtype(where: string, dtype: Dtype): void {
  if (Object.hasOwn(DTYPE_BYTES, dtype)) return
  throw new DtypeError(where, 'there is no such storage type', {
    given: { dtype },
    expected: Object.keys(DTYPE_BYTES).join(', '),
  })
}
