import type { Pixels } from './pixels.ts'

/**
 * Pixels in grey: red, green and blue are the luma of the color, by ITU-R BT.601 in whole numbers as Pillow rounds it.
 *
 *   L = (19595·R + 38470·G + 7471·B + 2¹⁵) / 2¹⁶, rounded down
 *
 * Source: Pillow, Convert.c, L24 (`image.convert('L')`).
 */
export function inGrey({ width, height, data }: Pixels): Pixels {
  const grey = new Uint8Array(data.length)
  for (let i = 0; i < data.length; i += 4) {
    const luma = (19595 * data[i] + 38470 * data[i + 1] + 7471 * data[i + 2] + 0x8000) >> 16
    grey[i] = grey[i + 1] = grey[i + 2] = luma
    grey[i + 3] = data[i + 3]
  }
  return { width, height, data: grey }
}
