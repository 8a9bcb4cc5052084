import { DataError } from '../base/errors.ts'

/** A table of texts: the names of its columns, and its rows by them. */
export interface CsvTable {
  readonly columns: readonly string[]
  readonly rows: readonly CsvRow[]
}

export interface CsvRow {
  /** Where it begins in the file, from 1. */
  readonly line: number
  readonly cells: readonly string[]
}

/**
 * A table of comma-separated values, its first line the names of the columns. Cells may be quoted ("" within quotes is a
 * quote), lines end with LF or CR LF, and empty lines are passed over.
 *
 * @param path  named in errors
 * @throws DataError  when there is no header or it names a column twice, rows differ in length, or a quote stays open
 * Source: RFC 4180.
 */
export function parseCsv(path: string, text: string): CsvTable {
  const [header, ...rows] = readRows(path, text)
  if (!header) throw new DataError(path, 'the table is empty', { expected: 'a line with the names of its columns' })
  const columns = header.cells
  const twice = columns.find((name, i) => columns.indexOf(name) !== i)
  if (twice !== undefined) throw new DataError(path, `two columns are called '${twice}'`, { given: { columns } })
  const ragged = rows.find(({ cells }) => cells.length !== columns.length)
  if (ragged) {
    throw new DataError(`${path}:${ragged.line}`, 'the row has not as many cells as the table has columns', {
      given: { row: ragged.cells, columns },
    })
  }
  return { columns, rows }
}

/** A cell, quoted or not, and what ends it. An unquoted one keeps quotes that are not at its beginning. */
const CELL = /(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n][^,\r\n]*)?)(,|\r?\n|$)/y

function readRows(path: string, text: string): CsvRow[] {
  const rows: CsvRow[] = []
  // Spreadsheets begin a file in UTF-8 with a byte order mark.
  CELL.lastIndex = text.startsWith('\ufeff') ? 1 : 0
  let line = 1
  while (CELL.lastIndex < text.length) {
    const first = line
    const cells: string[] = []
    for (let end = ','; end === ',';) {
      const at = CELL.lastIndex
      const match = CELL.exec(text)
      if (!match) {
        throw new DataError(`${path}:${line}`, 'a cell does not end as it should', {
          given: { cell: text.slice(at, at + 40).split(/\r?\n/)[0] },
          expected: 'a quote where it begins with one, then a comma or the end of the line (LF or CR LF)',
        })
      }
      const [whole, quoted, plain = ''] = match
      cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'))
      line += whole.split('\n').length - 1
      end = match[3]
    }
    if (cells.length > 1 || cells[0] !== '') rows.push({ line: first, cells })
  }
  return rows
}
