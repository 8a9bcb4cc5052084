import type { Pixels } from './pixels.ts'

/** Value of the orientation tag: 1 as stored, 2 to 4 mirrored or turned by 180°, 5 to 8 with rows and columns exchanged. */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8

const ORIENTATION_TAG = 0x0112
const SHORT = 3
const ENTRY_BYTES = 12

/**
 * Orientation that Exif metadata state; 1 where they state none, or are damaged.
 *
 * @param exif  a TIFF header and the image file directories behind it, as in a JPEG's APP1 segment behind "Exif\0\0"
 * Source: CIPA DC-008 (Exif 2.32), section 4.6.4; TIFF 6.0, section 2.
 */
export function exifOrientation(exif: Uint8Array): Orientation {
  const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength)
  if (exif.length < 8) return 1
  const order = view.getUint16(0)
  const littleEndian = order === 0x4949
  if (!littleEndian && order !== 0x4d4d) return 1
  const directory = view.getUint32(4, littleEndian)
  if (directory + 2 > exif.length) return 1
  const entries = view.getUint16(directory, littleEndian)
  for (let i = 0; i < entries; i++) {
    const at = directory + 2 + i * ENTRY_BYTES
    if (at + ENTRY_BYTES > exif.length) return 1
    if (view.getUint16(at, littleEndian) !== ORIENTATION_TAG) continue
    return view.getUint16(at + 2, littleEndian) === SHORT ? toOrientation(view.getUint16(at + 8, littleEndian)) : 1
  }
  return 1
}

/** A number as an orientation; 1 for any that is not one. */
export function toOrientation(value: number | undefined): Orientation {
  return value !== undefined && Number.isInteger(value) && value >= 1 && value <= 8 ? (value as Orientation) : 1
}

/** True if rows and columns are exchanged. */
export function swapsSides(orientation: Orientation): boolean {
  return orientation >= 5
}

/**
 * The image as it is meant to be seen.
 *
 * @returns  the image upright: the given one for orientation 1, otherwise a new one, w and h exchanged from 5 on
 * Source: CIPA DC-008 (Exif 2.32), table "Orientation"; Pillow ImageOps.py, exif_transpose.
 */
export function upright(stored: Pixels, orientation: Orientation): Pixels {
  if (orientation === 1) return stored
  const { width: w, height: h } = stored
  const source = new Uint32Array(stored.data.slice().buffer)
  const [width, height] = swapsSides(orientation) ? [h, w] : [w, h]
  const target = new Uint32Array(w * h)
  // Index of the stored pixel: first + x · stepX + y · stepY.
  const { first, stepX, stepY } = steps(w, h, orientation)
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0, from = first + y * stepY; x < width; x++, from += stepX) target[at++] = source[from]
  }
  return { width, height, data: new Uint8Array(target.buffer) }
}

function steps(w: number, h: number, orientation: Orientation) {
  const [left, right] = [0, w - 1]
  const [top, bottom] = [0, (h - 1) * w]
  switch (orientation) {
    case 1:
      return { first: top + left, stepX: 1, stepY: w }
    case 2:
      return { first: top + right, stepX: -1, stepY: w }
    case 3:
      return { first: bottom + right, stepX: -1, stepY: -w }
    case 4:
      return { first: bottom + left, stepX: 1, stepY: -w }
    case 5:
      return { first: top + left, stepX: w, stepY: 1 }
    case 6:
      return { first: bottom + left, stepX: -w, stepY: 1 }
    case 7:
      return { first: bottom + right, stepX: -w, stepY: -1 }
    case 8:
      return { first: top + right, stepX: w, stepY: -1 }
  }
}
