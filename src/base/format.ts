/** Returns the text of a tensor's shape and type, `[64,128,128,32] f16`, or of a shape alone, `[64,128,128,32]`. */
export function formatShape(
  of: readonly number[] | { readonly shape: readonly number[]; readonly dtype: string },
): string {
  return 'dtype' in of ? `[${of.shape.join(',')}] ${of.dtype}` : `[${of.join(',')}]`
}

/** Returns the text of a number of bytes: `512 B`, `1.5 KiB`, `128 MiB`, `2.3 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : significant(value, 3)} ${units[unit]}`
}

/** Returns the text of a time in ms: `410 µs`, `12.0 ms`, `3.20 s`. */
export function formatTime(timeMs: number): string {
  if (timeMs < 1) return `${significant(timeMs * 1000, 3)} µs`
  return timeMs < 1000 ? `${significant(timeMs, 3)} ms` : `${significant(timeMs / 1000, 3)} s`
}

/** Returns the text of a time in ms as a clock: `02:16`, from one hour on `1:02:16`; truncated, as fastprogress prints it. */
export function formatClock(timeMs: number): string {
  const seconds = Math.floor(timeMs / 1000)
  const hours = Math.floor(seconds / 3600)
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  return hours > 0 ? `${hours}:${rest}` : rest
}

/** Returns the text of a rate, such as `45.8 GFLOP/s`; `unit` is the name of the unit of the amount. */
export function formatRate(amount: number, timeMs: number, unit: string): string {
  const rate = amount / (timeMs / 1000)
  const scales: [number, string][] = [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
    [1, ''],
  ]
  const [scale, prefix] = scales.find(([limit]) => rate >= limit) ?? [1, '']
  return `${significant(rate / scale, 3)} ${prefix}${unit}/s`
}

function significant(value: number, digits: number): string {
  const whole = Math.max(1, Math.floor(Math.log10(Math.max(Math.abs(value), 1e-12))) + 1)
  return value.toFixed(Math.max(0, digits - whole))
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

/** Formats a fraction: `81.1%`, or `–` where it is not finite. */
export function percent(share: number): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(1)}%` : '–'
}
