/** Text below an image. Platforms draw it with fonts; the letters here are for where there are none. */
import type { Pixels } from './pixels.ts'
import { charactersOf, wrapText } from './wrap-text.ts'

/** Text to draw. */
export interface CaptionRequest {
  /** Lines, separated by `\n`; longer ones are wrapped. */
  readonly text: string
  /** Largest width of the result in pixels. */
  readonly width: number
  /** Em of the font in pixels. */
  readonly size: number
  /** Red, green and blue, 0 to 255. */
  readonly color: readonly [number, number, number]
}

/** Side of a dot in pixels. */
const DOT = 2
/** Pixels from one letter to the next: three dots and a gap. */
const ADVANCE = 4 * DOT
/** Pixels from one line to the next: five rows of dots and a gap. */
const LINE = 7 * DOT

/**
 * Draws a text with letters of 3 × 5 dots: A to Z, digits and some punctuation, in capitals and without accents. Other
 * characters are drawn as `?` (see `hasLetters`).
 *
 * @returns RGBA, transparent except for the dots
 */
export function drawLetters({ text, width, color }: CaptionRequest): Pixels {
  const lines = wrapText(plain(text), Math.max(width, ADVANCE), (part) => ADVANCE * charactersOf(part).length - DOT)
  const longest = lines.reduce((most, line) => Math.max(most, charactersOf(line).length), 1)
  const drawn = { width: ADVANCE * longest - DOT, height: LINE * lines.length - 2 * DOT }
  const data = new Uint8Array(4 * drawn.width * drawn.height)
  for (const [row, line] of lines.entries()) {
    const letters = charactersOf(line)
    const start = Math.floor(((longest - letters.length) * ADVANCE) / 2)
    for (const [column, letter] of letters.entries()) {
      const rows = LETTERS[letter] ?? LETTERS['?']
      for (let y = 0; y < 5 * DOT; y++) {
        for (let x = 0; x < 3 * DOT; x++) {
          const lit = (Number(rows[Math.floor(y / DOT)]) >> (2 - Math.floor(x / DOT))) & 1
          const at = 4 * ((row * LINE + y) * drawn.width + start + column * ADVANCE + x)
          if (lit) data.set([...color, 255], at)
        }
      }
    }
  }
  return { ...drawn, data }
}

/** True if `drawLetters` has a letter for each character of a text. */
export function hasLetters(text: string): boolean {
  return charactersOf(plain(text)).every((letter) => letter === '\n' || Object.hasOwn(LETTERS, letter))
}

/** Returns a text in capitals and without the marks of accents. */
function plain(text: string): string {
  return text
    .normalize('NFD')
    .replace(/\p{Mark}/gu, '')
    .toUpperCase()
}

/** Letters of 3 × 5 dots: a digit a row, its bits the dots from left to right. */
const LETTERS: Readonly<Record<string, string>> = {
  '0': '75557',
  '1': '26227',
  '2': '71747',
  '3': '71717',
  '4': '55711',
  '5': '74717',
  '6': '74757',
  '7': '71111',
  '8': '75757',
  '9': '75717',
  A: '25755',
  B: '65656',
  C: '34443',
  D: '65556',
  E: '74647',
  F: '74644',
  G: '34553',
  H: '55755',
  I: '72227',
  J: '11152',
  K: '55655',
  L: '44447',
  M: '57755',
  N: '65555',
  O: '25552',
  P: '65644',
  Q: '25563',
  R: '65655',
  S: '34216',
  T: '72222',
  U: '55557',
  V: '55522',
  W: '55775',
  X: '55255',
  Y: '55222',
  Z: '71247',
  ' ': '00000',
  '-': '00700',
  _: '00007',
  '.': '00002',
  ',': '00024',
  ':': '02020',
  '/': '11244',
  '?': '71202',
  '!': '22202',
  "'": '22000',
  '(': '12221',
  ')': '42224',
  '+': '02720',
  '&': '25365',
  '%': '51245',
  '#': '57575',
}
