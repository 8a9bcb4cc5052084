import { OptionError } from './errors.ts'

/** Range of accepted numbers; infinities are never accepted, nor what would become one in f32. */
export interface Range {
  /** Smallest accepted number. */
  readonly from?: number
  /** Largest accepted number. */
  readonly to?: number
  /** Number that an accepted one must exceed; in place of `from`. */
  readonly above?: number
  /** Number that an accepted one must stay below; in place of `to`. */
  readonly below?: number
}

/** Requires an integer in a range. @throws OptionError  that names the argument, its value and the range */
export function requireInteger(where: string, name: string, value: unknown, range: Range = {}): void {
  if (Number.isInteger(value) && isWithin(Number(value), range)) return
  throw outOfRange(where, { [name]: value }, rangeText('a whole number', range))
}

/** Largest number of f32, in which the GPU computes: 3.4e38. Source: IEEE 754, binary32. */
const LARGEST = (2 - 2 ** -23) * 2 ** 127

/** Requires a number in a range that is finite in f32. @throws OptionError  that names the argument, its value and the range */
export function requireNumber(where: string, name: string, value: unknown, range: Range = {}): void {
  const inRange = typeof value === 'number' && isWithin(value, range)
  if (inRange && Math.abs(value) <= LARGEST) return
  const limit = inRange ? `, up to ${LARGEST.toPrecision(3)} as in f32` : ''
  throw outOfRange(where, { [name]: value }, rangeText('', range) + limit)
}

/**
 * Requires a condition on arguments that no single range expresses.
 *
 * @param given     the arguments by name, the one at fault first
 * @param expected  description of correct values, as the end of the sentence "expected …"
 * @throws OptionError  about the first argument, unless the condition holds
 */
export function requireRange(
  where: string,
  given: Readonly<Record<string, unknown>>,
  condition: boolean,
  expected: string,
): void {
  if (!condition) throw outOfRange(where, given, expected)
}

function isWithin(value: number, { from = -Infinity, to = Infinity, above, below }: Range) {
  const within = value >= from && value <= to
  return within && (above === undefined || value > above) && (below === undefined || value < below)
}

function outOfRange(where: string, given: Readonly<Record<string, unknown>>, expected: string): OptionError {
  return new OptionError(where, `${Object.keys(given)[0]} is out of range`, { given, expected })
}

/** `a whole number from 1 on`, `0 to 1`, `at least 0 and below 1`, `above 0` */
function rangeText(kind: string, { from, to, above, below }: Range): string {
  if (kind !== '' && from !== undefined) return `${kind} from ${from} ${to === undefined ? 'on' : `to ${to}`}`
  if (from !== undefined && to !== undefined) return `${from} to ${to}`
  const parts = [
    from === undefined ? '' : `at least ${from}`,
    above === undefined ? '' : `above ${above}`,
    to === undefined ? '' : `at most ${to}`,
    below === undefined ? '' : `below ${below}`,
  ]
  return [kind, parts.filter(Boolean).join(' and ')].filter(Boolean).join(' ') || 'a finite number'
}
