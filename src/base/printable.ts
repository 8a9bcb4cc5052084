/**
 * Characters that a terminal interprets instead of printing: control characters except line feed and tab, and those that
 * change the direction of writing. Names of files and labels may contain any of them.
 *
 * Sources: ECMA-48; Unicode Standard Annex 9, "Directional Formatting Characters".
 */
const OBEYED = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g

/** Returns a text that is safe to print: characters that a terminal would interpret become escapes such as `\x1b`. */
export function printable(text: string): string {
  return text.replace(OBEYED, (letter) => {
    const code = letter.charCodeAt(0).toString(16)
    return code.length > 2 ? `\\u${code}` : `\\x${code.padStart(2, '0')}`
  })
}
