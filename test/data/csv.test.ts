import { expect, test } from 'vitest'
import { DataError } from '../../src/base/errors.ts'
import { csvLine, parseCsv } from '../../src/data/csv.ts'

const cells = (text: string) => parseCsv('table.csv', text).rows.map((row) => row.cells)

test('columns and rows', () => {
  expect(parseCsv('table.csv', 'path,label\na.png,tench\nb.png,church\n')).toEqual({
    columns: ['path', 'label'],
    rows: [
      { line: 2, cells: ['a.png', 'tench'] },
      { line: 3, cells: ['b.png', 'church'] },
    ],
    separator: ',',
  })
})

test.each([
  ['the last line may end or not', 'a,b\n1,2', [['1', '2']]],
  [
    'lines of Windows',
    'a,b\r\n1,2\r\n3,4\r\n',
    [
      ['1', '2'],
      ['3', '4'],
    ],
  ],
  ['empty lines', '\na,b\n\n1,2\n\n\n', [['1', '2']]],
  [
    'empty cells',
    'a,b,c\n,,\n1,,\n,,3',
    [
      ['', '', ''],
      ['1', '', ''],
      ['', '', '3'],
    ],
  ],
  [
    'quoted cells',
    'a,b\n"x, y","say ""hi"""\n"",""\n',
    [
      ['x, y', 'say "hi"'],
      ['', ''],
    ],
  ],
  ['line ends within quotes', 'a,b\n"x\r\ny",2\n', [['x\r\ny', '2']]],
  ['quotes within a cell that does not begin with one', 'a,b\n5" disk,2\n', [['5" disk', '2']]],
  ['spaces and other letters', 'a,b\n  x , ä图 \n', [['  x ', ' ä图 ']]],
  ['one column', 'a\n1\n2', [['1'], ['2']]],
  ['semicolons, as spreadsheets write them where 0,5 is a half', 'a;b\r\n0,5;"x; y"\r\n', [['0,5', 'x; y']]],
  ['tabs', 'a\tb\n1, 5\t2\n', [['1, 5', '2']]],
  ['semicolons behind a quoted name with a comma', '"a, mm";b\n1;2\n', [['1', '2']]],
  ['semicolons within cells, where commas separate them', 'a,b\n1,x;y\n', [['1', 'x;y']]],
  ['no rows', 'a,b\n', []],
  ['a long quoted cell', `a\n"${'x""'.repeat(50_000)}"\n`, [['x"'.repeat(50_000)]]],
])('%s', (_name, text, expected) => {
  expect(cells(text)).toEqual(expected)
})

test('a byte order mark belongs to no column', () => {
  expect(parseCsv('x', '\ufeffpath,label\n').columns).toEqual(['path', 'label'])
})

test('columns without a name, which spreadsheets leave beside a table, may be several', () => {
  expect(parseCsv('x', 'path,label,,\n1.jpg,cat,,\n')).toEqual({
    columns: ['path', 'label', '', ''],
    rows: [{ line: 2, cells: ['1.jpg', 'cat', '', ''] }],
    separator: ',',
  })
})

test('a row knows its line, also behind quoted line ends and empty lines', () => {
  expect(parseCsv('x', 'a,b\n"1\n\n",2\n\n3,4\n').rows.map(({ line }) => line)).toEqual([2, 6])
})

test('damaged tables are refused with file and line', () => {
  const refusal = (text: string) => {
    expect(() => cells(text)).toThrow(DataError)
    return expect(() => cells(text))
  }
  refusal('').toThrow('table.csv: the table is empty')
  refusal('\n\n').toThrow('table.csv: the table is empty')
  refusal('a,b,a\n').toThrow("table.csv: two columns are called 'a'")
  refusal('a,b\n1,2\n\n3\n').toThrow('table.csv:4: the row has not as many cells')
  refusal('a,b\n1,2,3\n').toThrow('table.csv:2: the row has not as many cells')
  refusal('a,b\n1,"2\n3,4\n').toThrow('table.csv:2: a cell does not end as it should')
  refusal('a,b\n1,2\rx,3\n').toThrow('table.csv:2: a cell does not end as it should')
  refusal('a;b\n1;"2"x\n').toThrow('then a semicolon or the end of the line')
  refusal('a,b\n1,"2"x\n').toThrowErrorMatchingInlineSnapshot(`
    [DataError: table.csv:2: a cell does not end as it should
      cell  "2"x
      expected a quote where it begins with one, then a comma or the end of the line (LF or CR LF)]
  `)
})

test('a line of a table is read as it was written, whatever is in its cells', () => {
  const rows = [
    ['a', 'b'],
    ['x, y', 'say "hi"'],
    ['two\r\nlines', '"'],
    ['a carriage\rreturn', ''],
    ['plain', 'ä 图'],
    ['', '1'],
  ]
  const [header, ...others] = rows
  expect(parseCsv('x', rows.map(csvLine).join(''))).toMatchObject({
    columns: header,
    rows: others.map((cells) => ({ cells })),
  })
  expect(csvLine([0, 1.5, NaN, '00:01'])).toBe('0,1.5,NaN,00:01\n')
})

test('many columns and unending quotes are refused at once', () => {
  const columns = Array.from({ length: 200_000 }, (_, i) => `c${i}`)
  expect(parseCsv('x', `${columns.join(',')}\n`).columns.length).toBe(200_000)
  expect(() => parseCsv('x', `a\n"${'""'.repeat(5_000_000)}`)).toThrow('x:2: a cell does not end as it should')
})
