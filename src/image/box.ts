/** A box of whole pixels. */
export interface Box {
  readonly top: number
  readonly left: number
  readonly height: number
  readonly width: number
}

/** Range of numbers, both ends included. */
export type Range = readonly [smallest: number, largest: number]

/** Number of boxes that are drawn before the one in the middle is taken. */
const TRIES = 10
/** Largest number of random numbers that `randomBox` takes: two per try, and two for the place. */
export const BOX_NUMBERS = 2 * TRIES + 2

/**
 * A box of random area, shape and place; `undefined` when ten tries found none that fits.
 *
 * @param next  numbers of U[0,1): for each try an area and a shape, and once these fit a top and a left
 */
export function randomBox(
  next: () => number,
  height: number,
  width: number,
  scale: Range,
  ratio: Range,
): Box | undefined {
  const between = (low: number, high: number) => low + (high - low) * next()
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const area = between(scale[0], scale[1]) * width * height
    const shape = Math.exp(between(Math.log(ratio[0]), Math.log(ratio[1])))
    const boxWidth = roundHalfToEven(Math.sqrt(area * shape))
    const boxHeight = roundHalfToEven(Math.sqrt(area / shape))
    if (boxWidth >= 1 && boxHeight >= 1 && boxWidth <= width && boxHeight <= height) {
      const top = Math.floor(next() * (height - boxHeight + 1))
      return { top, left: Math.floor(next() * (width - boxWidth + 1)), height: boxHeight, width: boxWidth }
    }
  }
  return undefined
}

/** The largest box of an allowed shape, in the middle, its sides scaled. */
export function middleBox(H: number, W: number, ratio: Range, scale = 1): Box {
  const [h, w] = W / H < ratio[0] ? [W / ratio[0], W] : W / H > ratio[1] ? [H, H * ratio[1]] : [H, W]
  const height = Math.max(1, Math.floor(Math.floor(h) * scale))
  const width = Math.max(1, Math.floor(Math.floor(w) * scale))
  return { top: Math.floor((H - height) / 2), left: Math.floor((W - width) / 2), height, width }
}

/** A number rounded to the nearest integer, halves to the even one as in Python: 2.5 is 2, 3.5 is 4. */
export function roundHalfToEven(value: number): number {
  const below = Math.floor(value)
  return value - below === 0.5 ? below + (below % 2) : Math.round(value)
}
