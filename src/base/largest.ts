/** Returns true if a is larger than b, where NaN is larger than every number. */
export function exceeds(a: number, b: number): boolean {
  return a > b || (Number.isNaN(a) && !Number.isNaN(b))
}

/**
 * Returns the place of the largest of some numbers, counted from the first of them: the first of equal ones; NaN counts as
 * the largest. Source: torch.argmax.
 *
 * @param start  place of the first number in `values`. Default 0
 * @param count  number of numbers. Default: all
 */
export function placeOfLargest(values: ArrayLike<number>, start = 0, count = values.length): number {
  let best = 0
  for (let i = 1; i < count; i++) if (exceeds(values[start + i], values[start + best])) best = i
  return best
}
