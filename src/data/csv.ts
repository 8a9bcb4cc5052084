import { DataError } from '../base/errors.ts'

/** A table of texts: the names of its columns, and its rows by them. */
export interface CsvTable {
  readonly columns: readonly string[]
  readonly rows: readonly CsvRow[]
  /** Text between its cells: a comma, a semicolon or a tab. */
  readonly separator: string
}

export interface CsvRow {
  /** Where it begins in the file, from 1. */
  readonly line: number
  readonly cells: readonly string[]
}

/**
 * Parses a table of comma-separated values, its first line the names of the columns. Cells may be quoted ("" within quotes is a
 * quote), lines end with LF or CR LF, and empty lines are passed over. Where the first line has no comma, cells are separated
 * by the semicolon or tab that it has: spreadsheets write semicolons where numbers have a decimal comma.
 *
 * @param path  named in errors
 * @throws DataError  when there is no header or it names a column twice, rows differ in length, or a quote stays open
 * Source: RFC 4180.
 */
export function parseCsv(path: string, text: string): CsvTable {
  const separator = separatorOf(text)
  const [header, ...rows] = readRows(path, text, separator)
  if (!header) throw new DataError(path, 'the table is empty', { expected: 'a line with the names of its columns' })
  const columns = header.cells
  const seen = new Set<string>()
  // Columns without a name are left over beside a table in a spreadsheet.
  const twice = columns.find((name) => name !== '' && seen.size === seen.add(name).size)
  if (twice !== undefined) throw new DataError(path, `two columns are called '${twice}'`, { given: { columns } })
  const ragged = rows.find(({ cells }) => cells.length !== columns.length)
  if (ragged) {
    throw new DataError(`${path}:${ragged.line}`, 'the row has not as many cells as the table has columns', {
      given: { row: ragged.cells, columns },
    })
  }
  return { columns, rows, separator: separator[0] }
}

/** A row as a line of a table, quoted where a cell holds what ends cells: a name may have a comma, a quote or a line end. */
export function csvLine(cells: readonly unknown[]): string {
  const quoted = cells.map(String).map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell))
  return `${quoted.join(',')}\n`
}

/** Separators of cells and their names in messages; an earlier one wins. */
const SEPARATORS = [
  [',', 'a comma'],
  [';', 'a semicolon'],
  ['\t', 'a tab'],
] as const
type Separator = (typeof SEPARATORS)[number]

function separatorOf(text: string): Separator {
  const header = /[^\r\n]+/.exec(text)?.[0].replace(/"[^"]*"/g, '') ?? ''
  return SEPARATORS.find(([one]) => header.includes(one)) ?? SEPARATORS[0]
}

function readRows(path: string, text: string, [separator, called]: Separator): CsvRow[] {
  const rows: CsvRow[] = []
  // Spreadsheets begin a file in UTF-8 with a byte order mark.
  let at = text.startsWith('\ufeff') ? 1 : 0
  /** A cell that is not quoted; quotes that are not at its beginning belong to it. */
  const plain = new RegExp(`[^"${separator}\\r\\n][^${separator}\\r\\n]*|`, 'y')
  /** The end of a cell: `$` is that of the text. */
  const ending = new RegExp(`${separator}|\\r?\\n|$`, 'y')
  let line = 1
  while (at < text.length) {
    const first = line
    const cells: string[] = []
    for (let end: string = separator; end === separator;) {
      const start = at
      const quote = text[at] === '"' ? closingQuote(text, at) : undefined
      const cell =
        quote === undefined ? (matchAt(plain, text, at) ?? '') : text.slice(at + 1, quote).replaceAll('""', '"')
      at = quote === undefined ? at + cell.length : quote + 1
      const ended = quote === -1 ? undefined : matchAt(ending, text, at)
      if (ended === undefined) {
        throw new DataError(`${path}:${line}`, 'a cell does not end as it should', {
          given: { cell: text.slice(start, start + 40).split(/\r?\n/)[0] },
          expected: `a quote where it begins with one, then ${called} or the end of the line (LF or CR LF)`,
        })
      }
      cells.push(cell)
      at += ended.length
      line += text.slice(start, at).split('\n').length - 1
      end = ended
    }
    if (cells.length > 1 || cells[0] !== '') rows.push({ line: first, cells })
  }
  return rows
}

/** The place of the quote that ends a cell, two in a row being one of its letters; −1 where there is none. */
function closingQuote(text: string, opening: number): number {
  for (let at = text.indexOf('"', opening + 1); at >= 0; at = text.indexOf('"', at + 2)) {
    if (text[at + 1] !== '"') return at
  }
  return -1
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}
