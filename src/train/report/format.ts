/** Formats a fraction without decimal places: `81%` */
export function wholePercent(share: number): string {
  return Number.isFinite(share) ? `${Math.round(100 * share)}%` : '–'
}

/** Formats a number with six decimal places, as in fastai's table. */
export function six(value: number | undefined): string {
  return value === undefined ? '' : value.toFixed(6)
}

/** Formats images per second: `48.8`, `412`, or `–` where they are not finite. */
export function rate(imagesPerSecond: number): string {
  if (!Number.isFinite(imagesPerSecond)) return '–'
  return imagesPerSecond >= 100 ? imagesPerSecond.toFixed(0) : imagesPerSecond.toFixed(1)
}

/** Formats a count with separators of thousands: `9,469` */
export function count(value: number): string {
  return value.toLocaleString('en')
}

/** Formats a probability: `0.91`, `0.0001` */
export function certainty(share: number): string {
  return String(Number(share.toFixed(4)))
}

/** Returns the median; NaN for an empty list. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? NaN
}
