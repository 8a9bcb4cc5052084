import { DataError } from './errors.ts'

/** A global of every platform; the libraries that the core is compiled with leave it out with everything of the web. */
declare const TextDecoder: new (
  label: 'utf-8',
  options: { readonly fatal: true },
) => { decode(bytes: Uint8Array): string }

/** The text that bytes of UTF-8 stand for. @throws TypeError  when they are not UTF-8 */
export function utf8Text(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
}

/** The text of a file. @throws DataError  where it is not UTF-8: as such, its letters would silently become others */
export function fileText(path: string, bytes: Uint8Array): string {
  try {
    return utf8Text(bytes)
  } catch (cause) {
    throw new DataError(path, 'not a text in UTF-8', { fix: 'save it as UTF-8', cause })
  }
}
