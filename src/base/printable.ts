/**
 * Letters that a terminal obeys instead of showing: control characters but line feed and tab, and those that change the
 * direction of writing. Names of files and labels may hold any of them.
 *
 * Sources: ECMA-48; Unicode Standard Annex 9, "Directional Formatting Characters".
 */
const OBEYED = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g

/** A text as it can be printed: what a terminal would obey is written as its number, `\x1b`. */
export function printable(text: string): string {
  return text.replace(OBEYED, (letter) => {
    const code = letter.charCodeAt(0).toString(16)
    return code.length > 2 ? `\\u${code}` : `\\x${code.padStart(2, '0')}`
  })
}
