import { DtypeError } from '../base/errors.ts'

/**
 * f32; f16 packed two to a u32 (arithmetic is f32, no device feature needed); u32 for labels and counters, which also
 * holds pixels, one RGBA u32 each.
 */
export type Dtype = 'f32' | 'f16' | 'u32'

export const DTYPE_BYTES: Readonly<Record<Dtype, number>> = { f32: 4, f16: 2, u32: 4 }

/** @throws DtypeError when there is no such storage type, which only JavaScript can ask for */
export function checkDtype(where: string, dtype: Dtype): void {
  if (Object.hasOwn(DTYPE_BYTES, dtype)) return
  throw new DtypeError(where, 'there is no such storage type', {
    given: { dtype },
    expected: Object.keys(DTYPE_BYTES).join(', '),
  })
}
