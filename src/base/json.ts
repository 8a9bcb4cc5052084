import { DataError } from './errors.ts'

/** What JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json | undefined }

/** Whether something read is an object with names, as `{ … }` in JSON is. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** As JSON.stringify, but numbers that are not finite are kept: `{ "$number": "NaN" }`. */
export function jsonText(value: Json): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'number' && !Number.isFinite(part) ? { $number: String(part) } : part,
  )
}

/** Levels of nesting at most. What the library writes has a few; recursion over far more runs out of stack. */
const MOST_LEVELS = 200

/** @throws SyntaxError  when a text of JSON nests too deeply to be worked with */
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

/** Parses JSON, with the numbers that `jsonText` marks. @throws SyntaxError when it is no JSON, or nests more than 200 levels deep */
export function parseJson(text: string): Json {
  requireShallow(text)
  return JSON.parse(text, (_, part: unknown) => {
    if (typeof part !== 'object' || part === null || !('$number' in part) || Object.keys(part).length > 1) return part
    return typeof part.$number === 'string' ? Number(part.$number) : part
  }) as Json
}

/** What a file says, `{ … }` as `jsonText` has written it. @throws DataError  that names the file, when it is no such text */
export function parseRecord(where: string, text: string, fix: string): Readonly<Record<string, Json | undefined>> {
  try {
    const value = parseJson(text)
    if (isRecord(value)) return value
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
  }
  throw new DataError(where, 'a damaged file: not JSON, or no { … }', { fix })
}
