import { DataError } from './errors.ts'

/** Value that JSON can represent. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json | undefined }

/** Returns true if a value is an object with named fields, `{ … }` in JSON. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Returns a value as JSON text. Inf and NaN, which JSON lacks, become `{ "$number": "NaN" }`. */
export function jsonText(value: Json): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'number' && !Number.isFinite(part) ? { $number: String(part) } : part,
  )
}

/** Most levels of nesting. The library writes a few; recursion over far more runs out of stack. */
const MOST_LEVELS = 200

/** Requires JSON text of at most 200 levels of nesting. @throws SyntaxError  if it nests more deeply */
export function requireShallow(text: string): void {
  let level = 0
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const letter = text[i]
    if (quoted && letter === '\\') i++
    else if (letter === '"') quoted = !quoted
    else if (!quoted && (letter === '[' || letter === '{')) {
      if (++level > MOST_LEVELS) throw new SyntaxError(`more than ${MOST_LEVELS} levels of nesting`)
    } else if (!quoted && (letter === ']' || letter === '}')) level--
  }
}

/** Parses JSON, with the numbers that `jsonText` marks. @throws SyntaxError  if the text is not JSON, or nests more than 200 levels deep */
export function parseJson(text: string): Json {
  requireShallow(text)
  return JSON.parse(text, (_, part: unknown) => {
    if (typeof part !== 'object' || part === null || !('$number' in part) || Object.keys(part).length > 1) return part
    return typeof part.$number === 'string' ? Number(part.$number) : part
  }) as Json
}

/** Parses the text of a file that `jsonText` has written, `{ … }`. @throws DataError  that names the file, if it is not such a text */
export function parseRecord(where: string, text: string, fix: string): Readonly<Record<string, Json | undefined>> {
  try {
    const value = parseJson(text)
    if (isRecord(value)) return value
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
  }
  throw new DataError(where, 'a damaged file: not JSON, or not { … }', { fix })
}
