import { DataError } from './errors.ts'

/** Global of every platform, declared here since the core is compiled without the type library of the web. */
declare const TextDecoder: new (
  label: 'utf-8',
  options: { readonly fatal: true },
) => { decode(bytes: Uint8Array): string }

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
