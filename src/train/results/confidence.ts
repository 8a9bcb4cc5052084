/** Quantile of the standard normal distribution for an interval of 95%. */
const Z = 1.959964

/**
 * Interval in which an accuracy lies with 95% confidence, from the number of right answers among all.
 *
 *   (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n),  p = right / n,  z = 1.96
 *
 * @returns [0, 1] if there are no answers
 * Source: Wilson 1927, J. Am. Stat. Assoc. 22, 209–212, which also holds for few answers and near 0 and 1.
 */
export function wilsonInterval(right: number, n: number): readonly [low: number, high: number] {
  if (n === 0) return [0, 1]
  const p = right / n
  const centre = p + (Z * Z) / (2 * n)
  const half = Z * Math.sqrt((p * (1 - p)) / n + (Z * Z) / (4 * n * n))
  const whole = 1 + (Z * Z) / n
  return [Math.max(0, (centre - half) / whole), Math.min(1, (centre + half) / whole)]
}
