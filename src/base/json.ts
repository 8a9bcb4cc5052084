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
    typeof part === 'number' && !Number.isFinite(part) ? { $number: String(part) } : part)
}

/** What `jsonText` has written. @throws SyntaxError when it is no JSON */
export function parseJson(text: string): Json {
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
