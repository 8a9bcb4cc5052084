/** Computes the width of a text in pixels. */
export type Measure = (text: string) => number

/**
 * Breaks a text into lines of a width: between words, also in scripts that write them without spaces, and behind `_`, `-`,
 * `.` and `/`. A word that is too wide is broken between characters. Nothing is left out except spaces at a break.
 */
export function wrapText(text: string, width: number, measure: Measure): string[] {
  const lines: string[] = []
  for (const paragraph of text.split('\n')) {
    let line = ''
    for (const part of wordsOf(paragraph)) {
      if (measure((line + part).trimEnd()) <= width) {
        line += part
        continue
      }
      if (line.trim() !== '') lines.push(line.trimEnd())
      line = ''
      if (part.trim() === '') continue
      const pieces = measure(part.trimEnd()) <= width ? [part] : brokenUp(part, width, measure)
      lines.push(...pieces.slice(0, -1))
      line = pieces.at(-1) ?? ''
    }
    lines.push(line.trimEnd())
  }
  return lines
}

const words = new Intl.Segmenter(undefined, { granularity: 'word' })
const characters = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** Parts of a text between which a line may end; punctuation belongs to the word before it. */
function wordsOf(text: string): string[] {
  const parts: string[] = []
  for (const { segment, isWordLike } of words.segment(text)) {
    const last = parts.at(-1)
    if (last !== undefined && isWordLike !== true && segment.trim() !== '' && last.trim() !== '') {
      parts[parts.length - 1] = last + segment
    } else {
      parts.push(...segment.split(/(?<=[_\-./])/))
    }
  }
  return parts
}

/** Characters of a text as a reader counts them: an emoji or a letter with its marks is one. */
export function charactersOf(text: string): string[] {
  return Array.from(characters.segment(text), ({ segment }) => segment)
}

function brokenUp(word: string, width: number, measure: Measure): string[] {
  const pieces: string[] = []
  let piece = ''
  for (const character of charactersOf(word)) {
    if (piece !== '' && measure(piece + character) > width) {
      pieces.push(piece)
      piece = ''
    }
    piece += character
  }
  return [...pieces, piece]
}

/** Scripts whose characters are about as wide as high, and emoji. */
const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\uff01-\uff60]/u

/**
 * Estimates the width of a text where there is no font to measure it with, on the wide side: an em for wide characters,
 * 0.62 em for others, as in a wide sans-serif such as DejaVu Sans.
 *
 * @param size  em in pixels
 */
export function estimatedWidth(text: string, size: number): number {
  return charactersOf(text).reduce((sum, character) => sum + (WIDE.test(character) ? 1.05 : 0.62) * size, 0)
}
