import { DataError } from '../base/errors.ts'
import { ANY, checkArgument, checkOptions, NUMBER, oneOf, PATH, TEXT, type Kind } from '../base/options.ts'
import { currentGpu } from '../gpu/device.ts'
import type { Platform } from '../platform/platform.ts'
import { parseCsv } from './csv.ts'
import type { Splitter } from './splitters.ts'

/** Options of `getImagesFromCsv`. */
export interface ImagesFromCsvOptions {
  /** The name of the table in the folder. Default 'noisy_imagenette.csv' */
  readonly file?: string
  /** Column of the images' paths, relative to the folder, by its name or its number from 0. Default 'path' */
  readonly pathColumn?: string | number
  /** Default: that of the open GPU. */
  readonly platform?: Platform
}

/** Check of what stands between labels. */
export const DELIMITER: Kind = {
  expected: "a text that is not empty, such as ' '",
  is: (value) => typeof value === 'string' && value !== '',
}

/** Images that a table lists, and what its columns say about each. */
export class ImageTable {
  /** Their paths, in the order of the table. */
  readonly items: readonly string[]
  readonly columns: readonly string[]
  private readonly path: string
  private readonly rows: ReadonlyMap<string, readonly string[]>

  constructor(path: string, columns: readonly string[], rows: ReadonlyMap<string, readonly string[]>) {
    this.path = path
    this.columns = columns
    this.rows = rows
    this.items = [...rows.keys()]
  }

  /**
   * Returns a function that looks up a column, by its name or its number from 0, for an image:
   * `getY: table.column('noisy_labels_50')`.
   *
   * @throws DataError  when there is no such column, and from the function for an image that is not in the table, or of
   *                    which the column says nothing
   * Source: fastai data/transforms.py, ColReader.
   */
  column(name: string | number): (item: string) => string {
    const cellOf = this.cells(name)
    const index = columnIndex(this.path, this.columns, name)
    return (item) => {
      const cell = cellOf(item)
      const given = { table: this.path }
      const empty = `the column '${this.columns[index].trim()}' is empty for this image`
      if (cell === '') throw new DataError(item, empty, { given })
      return cell
    }
  }

  /**
   * Returns a function that looks up the labels of an image in a column, for a `MultiCategoryBlock`; an empty cell has none.
   *
   *   getY: table.labels('tags', ' ')
   *
   * @param delimiter  what stands between two labels
   * @throws DataError  when there is no such column, and from the function for an image that is not in the table
   * Source: fastai data/transforms.py, ColReader(label_delim).
   */
  labels(name: string | number, delimiter: string): (item: string) => string[] {
    checkArgument('labels', 'delimiter', delimiter, DELIMITER)
    const cellOf = this.cells(name)
    return (item) => labelsOf(cellOf(item), delimiter)
  }

  private cells(name: string | number): (item: string) => string {
    const index = columnIndex(this.path, this.columns, name)
    return (item) => {
      const cell = this.rows.get(item)?.[index]
      // Spaces behind the commas of a table are not seen, and would make other classes of the same names.
      if (cell !== undefined) return cell.trim()
      throw new DataError(item, 'the table does not list this image', { given: { table: this.path } })
    }
  }
}

/** Text of a cell as a list of labels. */
function labelsOf(cell: string, delimiter: string): string[] {
  return cell
    .split(delimiter)
    .map((label) => label.trim())
    .filter((label) => label !== '')
}

/** Returns the number of a column. @throws DataError  naming the table, if there is no such column */
function columnIndex(path: string, columns: readonly string[], column: string | number): number {
  const index = typeof column === 'number' ? column : columns.findIndex((name) => name.trim() === column.trim())
  if (columns[index] !== undefined) return index
  throw new DataError(path, `there is no column ${typeof column === 'number' ? `number ${column}` : `'${column}'`}`, {
    given: { columns },
  })
}

/**
 * The images that a table of comma-separated values lists, such as Imagenette's labels of which a part is wrong:
 * `noisy_labels_0`, `_1`, `_5`, `_25` and `_50` percent of those to train on.
 *
 *   const table = await getImagesFromCsv(path)
 *   const getY = table.column('noisy_labels_50')
 *   new DataBlock({ getItems: () => table.items, getY, splitter: columnSplitter(table), … })
 *
 * @param folder  of the table, and of the images
 * @throws DataError  when the table is missing or damaged, has no such column, or lists an image twice or none
 * Source: fastai nbs/examples/train_imagenette.py.
 */
export async function getImagesFromCsv(folder: string, options: ImagesFromCsvOptions = {}): Promise<ImageTable> {
  checkArgument('getImagesFromCsv', 'folder', folder, TEXT)
  checkOptions('getImagesFromCsv', options, { file: PATH, pathColumn: oneOf(TEXT, NUMBER), platform: ANY })
  const { file = 'noisy_imagenette.csv', pathColumn = 'path', platform = currentGpu().platform } = options
  const path = platform.files.join(folder, file)
  const { columns, rows } = parseCsv(path, await platform.files.readText(path))
  const place = columnIndex(path, columns, pathColumn)
  const images = new Map<string, readonly string[]>()
  for (const { line, cells } of rows) {
    if (cells[place] === '') throw new DataError(`${path}:${line}`, 'the row names no image', { given: { row: cells } })
    const image = platform.files.join(folder, cells[place])
    if (images.has(image)) {
      throw new DataError(`${path}:${line}`, 'the table lists this image twice', { given: { image: cells[place] } })
    }
    images.set(image, cells)
  }
  if (images.size === 0) throw new DataError(path, 'the table lists no images')
  return new ImageTable(path, columns, images)
}

/**
 * Returns a splitter that goes by a column of a table: images with True are measured on, images with False are trained on.
 *
 * @param column  Default 'is_valid'
 * @throws DataError  when there is no such column; from the splitter when it says something else, or either side is empty
 * Source: fastai data/transforms.py, ColSplitter.
 */
export function columnSplitter(table: ImageTable, column = 'is_valid'): Splitter {
  const cellOf = table.column(column)
  return (items) => {
    const valid = items.map((item) => {
      const cell = cellOf(item).toLowerCase()
      if (cell === 'true' || cell === 'false') return cell === 'true'
      throw new DataError(item, `the column '${column}' is neither True nor False`, {
        given: { [column]: cellOf(item) },
      })
    })
    const indices = (side: boolean) => Uint32Array.from(valid.flatMap((isValid, i) => (isValid === side ? [i] : [])))
    const split = { train: indices(false), valid: indices(true) }
    for (const side of ['train', 'valid'] as const) {
      if (split[side].length > 0) continue
      throw new DataError('columnSplitter', `there is nothing to ${side === 'train' ? 'train' : 'measure'} on`, {
        given: { items: items.length, column },
        expected: 'rows with True and rows with False',
      })
    }
    return split
  }
}
