/** `81.1%` */
export function percent(share: number): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(1)}%` : '–'
}

/** `81%` */
export function wholePercent(share: number): string {
  return Number.isFinite(share) ? `${Math.round(100 * share)}%` : '–'
}

/** Six digits, as fastai's table. */
export function six(value: number | undefined): string {
  return value === undefined ? '' : value.toFixed(6)
}

/** `48.8`, `412` */
export function rate(imagesPerSecond: number): string {
  return imagesPerSecond >= 100 ? imagesPerSecond.toFixed(0) : imagesPerSecond.toFixed(1)
}

/** `9,469` */
export function count(value: number): string {
  return value.toLocaleString('en')
}

/** `0.91`, `0.0001` */
export function certainty(share: number): string {
  return String(Number(share.toFixed(4)))
}

/** The middle of some numbers; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? NaN
}
