import { DataError } from './errors.ts'

/** Globals of every platform, declared here since the core is compiled without the type library of the web. */
declare const TextEncoder: new () => { encode(text: string): Uint8Array }
declare const TextDecoder: new (
  label: 'utf-8',
  options: { readonly fatal: true },
) => { decode(bytes: Uint8Array): string }

/** Encodes a text as UTF-8. */
export function utf8Bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Decodes UTF-8. @throws TypeError  if the bytes are not UTF-8 */
export function utf8Text(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
}

/** Decodes the text of a file. @throws DataError  if it is not UTF-8, instead of silently replacing characters */
export function fileText(path: string, bytes: Uint8Array): string {
  try {
    return utf8Text(bytes)
  } catch (cause) {
    throw new DataError(path, 'not UTF-8 text', { fix: 'save it as UTF-8', cause })
  }
}
