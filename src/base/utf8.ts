/** A global of every platform; the libraries that the core is compiled with leave it out with everything of the web. */
declare const TextDecoder: new (label: 'utf-8', options: { readonly fatal: true }) => { decode(bytes: Uint8Array): string }

/** The text that bytes of UTF-8 stand for. @throws TypeError  when they are not UTF-8 */
export function utf8Text(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
}
