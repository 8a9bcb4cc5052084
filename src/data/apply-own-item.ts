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
  const data = image.data.slice()
  let made: unknown
  try {
    made = apply({ ...image, data }, context)
    if (!isImage(made)) made = await made
  } catch (cause) {
    if (cause instanceof WgradError && !(cause instanceof DataError)) throw cause
    // A DataError would leave the image out, as if its file were damaged.
    throw new OptionError(`item transform ${name}`, `it failed (${String(cause)})`, { given: { image: path }, cause })
  }
  if (isImage(made)) return made.data === data ? made : copied(made)
  throw new OptionError(`item transform ${name}`, 'it did not return an image', {
    given: { image: path },
    expected: '{ width, height, data: Uint8Array of 4 · width · height bytes, R G B A }',
  })
}

/**
 * Returns an image in memory of its own, as code from outside may use its memory anew for the next image. Its bytes are a
 * Uint8Array and nothing derived from it: what `slice` makes of a Buffer is no copy.
 */
function copied({ width, height, data }: Pixels): Pixels {
  return { width, height, data: new Uint8Array(data) }
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
