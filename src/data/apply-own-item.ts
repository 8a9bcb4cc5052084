import { DataError, OptionError, WgradError } from '../base/errors.ts'
import type { Pixels } from '../image/pixels.ts'
import type { ItemContext, OwnItemTransform } from './own-item-transform.ts'

/**
 * Runs a transform on a copy of an image, since the image may be kept for later epochs.
 *
 * @param path  named in errors
 * @throws OptionError  if it does not return an image
 */
export async function applyOwn(
  { name, apply }: OwnItemTransform,
  image: Pixels,
  context: ItemContext,
  path: string,
): Promise<Pixels> {
  const { width, height, data } = image
  let made: unknown
  try {
    made = await apply({ width, height, data: data.slice() }, context)
  } catch (cause) {
    if (cause instanceof WgradError && !(cause instanceof DataError)) throw cause
    // A DataError would leave the image out, as if its file were damaged.
    throw new OptionError(`item transform ${name}`, `it failed (${String(cause)})`, { given: { image: path }, cause })
  }
  if (isImage(made)) return plain(made)
  throw new OptionError(`item transform ${name}`, 'it did not return an image', {
    given: { image: path },
    expected: '{ width, height, data: Uint8Array of 4 · width · height bytes, R G B A }',
  })
}

/** Returns an image whose bytes are a Uint8Array and nothing derived from it: what `slice` makes of a Buffer is no copy. */
function plain(image: Pixels): Pixels {
  const { width, height, data } = image
  if (data.constructor === Uint8Array) return image
  return { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }
}

function isImage(value: unknown): value is Pixels {
  if (typeof value !== 'object' || value === null) return false
  const { width, height, data } = value as Partial<Pixels>
  const isSide = (side: unknown) => Number.isInteger(side) && Number(side) > 0
  return (
    isSide(width) &&
    isSide(height) &&
    (data instanceof Uint8Array || (data as unknown) instanceof Uint8ClampedArray) &&
    data?.length === 4 * Number(width) * Number(height)
  )
}
