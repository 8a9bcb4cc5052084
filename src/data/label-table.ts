/** Tables of labels: which columns they have, and what the labels are: classes, lists of labels, or numbers. */
import { DataError, OptionError } from '../base/errors.ts'
import { plainName } from '../base/plain-name.ts'
import type { Platform } from '../platform/platform.ts'
import { parseCsv, type CsvTable } from './csv.ts'
import { sameSpelling, toNumber } from './targets.ts'

/** Kinds of targets that labels are: one class each, any number of labels each, or one or several numbers each. */
export type TargetKind = 'class' | 'labels' | 'numbers'

/** Target of an image: a class, a list of labels, or a list of numbers. */
export type ImageTarget = string | readonly string[] | readonly number[]

/** Meaning of the labels of a folder. */
export interface FolderTargets {
  readonly kind: TargetKind
  /** Columns of the table that they come from; empty where folders are the classes. */
  readonly columns: readonly string[]
  /** Text between two labels in a cell, where there may be several. */
  readonly separator?: string
  /** Meaning in words, such as `numbers of the columns x, y`. */
  readonly description: string
}

/** Options of a table of labels. */
export interface LabelTableOptions {
  /** Column of the images. Default: one called path, file, image, id or the like */
  readonly imageColumn?: string | undefined
  /**
   * Column of the labels, or several: of numbers, or of 0 and 1 (1.0, True) for one label each. Default: one called label,
   * class, tags or the like, otherwise all other columns if they hold numbers
   */
  readonly labelColumn?: string | readonly string[] | undefined
  /** Text between two labels of one image, such as ' '. Default: | or ; if a cell has it, in a column called labels or tags another */
  readonly separator?: string | undefined
  /** Kind of targets. Default: what the cells look like */
  readonly targets?: TargetKind | undefined
}

/** Table whose columns are known. */
export interface LabelTable extends CsvTable {
  readonly file: string
  /** Numbers of the columns; −1 where there is none. */
  readonly path: number
  readonly side: number
  readonly targets: FolderTargets
  /** Returns the target of a row; `undefined` where it has none. @throws DataError  if a cell cannot be one */
  targetOf(where: string, cells: readonly string[]): ImageTarget | undefined
}

/** Plain names of columns; an earlier one wins. */
const COLUMNS = {
  path: [
    'path',
    'filepath',
    'imagepath',
    'file',
    'filename',
    'fname',
    'image',
    'imagename',
    'img',
    'imageid',
    'name',
    'id',
  ],
  label: [
    'label',
    'labelname',
    'class',
    'classname',
    'category',
    'target',
    'species',
    'breed',
    'tag',
    'labels',
    'tags',
    'classes',
    'categories',
  ],
  side: ['side', 'split', 'isvalid', 'set', 'subset', 'part'],
  /** Columns of `images.csv` of a run that are no labels. */
  remark: ['reason'],
} as const
/** Names of columns whose whole numbers are quantities rather than names of classes. */
const QUANTITIES = ['age', 'count', 'number', 'value', 'score', 'rating', 'price', 'weight', 'size', 'temperature']
/** Names of tables that are taken for one of numbers though no column is called label. */
const USUAL = /(^|[/\\])(labels|targets|train)\.csv$/i
/** Names of columns that say that there are several labels. */
const SEVERAL = /^(labels|tags|classes|categories)$/i
/** Texts between labels that are found by themselves, as hardly any name of a class has them. */
const CLEAR_SEPARATORS = ['|', ';']
/** Texts between labels, where a cell is known to have several; an earlier one wins. */
const SEPARATORS = [...CLEAR_SEPARATORS, ',', '\t', ' ']

/** Returns a text that separates labels and is in none of them. */
export function separatorFor(labels: Iterable<string>): string {
  const all = [...labels]
  return [...SEPARATORS, '\n'].find((one) => all.every((label) => !label.includes(one))) ?? '\n'
}

/** Meaning of labels that are names of folders. */
export const FOLDER_CLASSES: FolderTargets = { kind: 'class', columns: [], description: 'classes' }

/**
 * Finds the table of labels of a folder.
 *
 * @param isNeeded  true where labels can only come from a table: the one that lies there must then be theirs
 * @throws DataError  if the table that is named, needed or called labels.csv or the like cannot be used, or there are several
 */
export async function findTable(
  { files }: Platform,
  folder: string,
  given: string | undefined,
  options: LabelTableOptions,
  isNeeded: boolean,
): Promise<LabelTable | undefined> {
  const read = async (file: string, anyNumbers: boolean) =>
    labelTable(file, parseCsv(file, await files.readText(file)), options, anyNumbers)
  if (given !== undefined) return read(given, true)
  const entries = await files.list(folder)
  const inside = entries.filter(({ kind, name }) => kind === 'file' && /\.csv$/i.test(name))
  const beside = `${folder.replace(/[/\\]+$/, '')}.csv`
  const found: LabelTable[] = []
  const refused: { readonly isUsual: boolean; readonly error: DataError }[] = []
  for (const file of [...inside.map(({ name }) => files.join(folder, name)), beside]) {
    if (!(await files.exists(file))) continue
    const isUsual = file === beside || USUAL.test(file)
    try {
      found.push(await read(file, isUsual))
    } catch (error) {
      if (!(error instanceof DataError)) throw error
      refused.push({ isUsual, error })
    }
  }
  if (found.length > 1) {
    throw new DataError(folder, 'there are several tables of labels', {
      given: { tables: found.map(({ file }) => file) },
      fix: 'name the one to use: --csv FILE, or the option csv',
    })
  }
  // Tables of something else may lie there too.
  const meant = refused.find(({ isUsual }) => isUsual) ?? (isNeeded && refused.length === 1 ? refused[0] : undefined)
  if (found.length === 0 && meant) throw meant.error
  return found[0]
}

/** Numbers of the columns of a table. */
interface Columns {
  readonly path: number
  readonly side: number
  readonly labels: readonly number[]
}

/**
 * Finds the columns of a table.
 *
 * @param anyNumbers  true to take all other columns for labels, if they hold numbers and none is called a label
 */
function columnsOf(
  table: CsvTable,
  { imageColumn, labelColumn }: LabelTableOptions,
  anyNumbers: boolean,
): Columns | undefined {
  const { columns, rows } = table
  const plain = columns.map(plainName)
  const called = (names: readonly string[]) => {
    const name = names.find((one) => plain.includes(one))
    return name === undefined ? -1 : plain.indexOf(name)
  }
  const path = imageColumn === undefined ? called(COLUMNS.path) : placeOf(columns, imageColumn)
  const given = labelColumn === undefined ? undefined : [labelColumn].flat().map((name) => placeOf(columns, name))
  const side = called(COLUMNS.side.filter((name) => !given?.includes(plain.indexOf(name))))
  if (path < 0 || given?.includes(-1)) return undefined
  if (given) return { path, side, labels: given }
  const label = called(COLUMNS.label)
  if (label >= 0) return { path, side, labels: [label] }
  const used = [path, side, called(COLUMNS.remark)]
  const others = [...columns.keys()].filter((column) => !used.includes(column) && columns[column] !== '')
  const isLabel = (cell: string) => cell === '' || isNumber(table, cell) || flagOf(table, cell) !== undefined
  const areLabels = rows.every(({ cells }) => others.every((i) => isLabel(cells[i].trim())))
  return anyNumbers && others.length > 0 && areLabels ? { path, side, labels: others } : undefined
}

/** Returns the number of a column; −1 if there is none. People write spaces behind the commas of a header. */
function placeOf(columns: readonly string[], name: string): number {
  return columns.findIndex((column) => column.trim() === name.trim())
}

/** Number in a cell, NaN if there is none. Where semicolons are between cells, a comma is taken for a decimal point. */
function numberOf({ separator }: Pick<CsvTable, 'separator'>, cell: string): number {
  return toNumber(separator === ';' ? cell.replace(',', '.') : cell)
}

/** True if a cell has a number, and one that a network can be given: f32 ends at 3.4e38. */
const isNumber = (table: Pick<CsvTable, 'separator'>, cell: string): boolean =>
  Number.isFinite(Math.fround(numberOf(table, cell)))

/** Meaning of 1, 1.0 or True, and of 0, 0.0 or False, as programs write them; `undefined` of any other cell. */
function flagOf(table: Pick<CsvTable, 'separator'>, cell: string): boolean | undefined {
  const text = cell.toLowerCase()
  if (text === 'true' || numberOf(table, text) === 1) return true
  return text === 'false' || numberOf(table, text) === 0 ? false : undefined
}

/** Finds the columns of a table and what they mean. @throws DataError  if it is not a table of labels */
function labelTable(file: string, table: CsvTable, options: LabelTableOptions, anyNumbers: boolean): LabelTable {
  const places = columnsOf(table, options, anyNumbers)
  const given = { columns: table.columns }
  if (!places) {
    const named = [options.imageColumn ?? [], options.labelColumn ?? []].flat()
    const missing = named.find((name) => placeOf(table.columns, name) < 0)
    if (missing !== undefined) throw new DataError(file, `there is no column '${missing}'`, { given })
    throw new DataError(file, 'the table has no column of paths or none of labels', {
      given,
      expected: 'a column such as path or file, and one such as label or class',
      fix: 'name them: --image-column and --label-column, or the options imageColumn and labelColumn',
    })
  }
  if (table.rows.length === 0) {
    throw new DataError(file, 'the table has no rows', {
      given,
      expected: 'a row per image below the names of the columns',
    })
  }
  const { labels, ...columns } = places
  const names = labels.map((column) => table.columns[column].trim())
  const rows = table.rows.map(({ cells }) => labels.map((column) => cells[column].trim()))
  const targets = targetsOf(table, names, rows, options)
  const targetOf = targetReader(table, targets, labels)
  return { ...table, file, ...columns, targets, targetOf }
}

/** Finds out what cells are. @param rows  cells of the columns of labels */
function targetsOf(
  table: CsvTable,
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  { separator, targets: wanted }: LabelTableOptions,
): FolderTargets {
  const cells = rows.flat().filter((cell) => cell !== '')
  const where = `${columns.length > 1 ? 'columns' : 'column'} ${columns.join(', ')}`
  const refuse = (problem: string) => {
    throw new OptionError('readImageFolder', problem, {
      given: {
        labelColumn: columns,
        ...(separator !== undefined && { separator }),
        ...(wanted !== undefined && { targets: wanted }),
      },
    })
  }
  if (separator !== undefined && (columns.length > 1 || (wanted !== undefined && wanted !== 'labels'))) {
    refuse('a separator is for several labels in one column')
  }
  if (wanted === 'class' && columns.length > 1) refuse('a class is one column')
  const kind = wanted ?? (separator === undefined ? kindOf(table, columns, cells) : 'labels')
  if (kind !== 'labels') {
    return { kind, columns, description: `${kind === 'class' ? 'classes' : 'numbers'} of the ${where}` }
  }
  if (columns.length > 1) return { kind, columns, description: `labels, one in each of the ${where}` }
  const between = separator ?? SEPARATORS.find((one) => cells.some((cell) => cell.includes(one))) ?? SEPARATORS[0]
  const text = between === ' ' ? 'spaces' : JSON.stringify(between)
  return { kind, columns, separator: between, description: `labels of the ${where}, with ${text} between them` }
}

function kindOf(table: CsvTable, columns: readonly string[], cells: readonly string[]): TargetKind {
  const areFlags = cells.every((cell) => flagOf(table, cell) !== undefined)
  if (columns.length > 1) return areFlags ? 'labels' : 'numbers'
  const isSeveral = SEVERAL.test(columns[0])
  // 1,2 in a column called tags is two labels, and elsewhere the number that has a comma for its point.
  const areLists = isSeveral && cells.some((cell) => cell.includes(','))
  if (cells.length > 0 && !areLists && cells.every((cell) => isNumber(table, cell))) {
    const isQuantity = QUANTITIES.some((name) =>
      columns[0]
        .toLowerCase()
        .split(/[\s_-]/)
        .includes(name),
    )
    // Whole numbers are usually those of classes; where most occur once there would be no class to learn.
    const counts = new Map<string, number>()
    for (const cell of cells) counts.set(cell, (counts.get(cell) ?? 0) + 1)
    const once = [...counts.values()].filter((count) => count === 1).length
    const areWhole = areFlags || cells.every((cell) => /^\+?\d+$/.test(cell))
    return isQuantity || once > cells.length / 2 || !areWhole ? 'numbers' : 'class'
  }
  const separator = SEPARATORS.find((one) => cells.some((cell) => cell.includes(one)))
  if (separator === undefined) return 'class'
  if (CLEAR_SEPARATORS.includes(separator)) return 'labels'
  // Labels occur in many combinations; the words of names, such as hot dog, do not.
  const parts = new Set(cells.flatMap((cell) => cell.split(separator)))
  return isSeveral && parts.size < new Set(cells).size ? 'labels' : 'class'
}

function targetReader(
  table: CsvTable,
  { kind, columns, separator }: FolderTargets,
  places: readonly number[],
): (where: string, cells: readonly string[]) => ImageTarget | undefined {
  const refuse = (where: string, cell: string, expected: string): never => {
    throw new DataError(where, 'the cell is not a target', { given: { cell }, expected })
  }
  return (where, row) => {
    const cells = places.map((place) => row[place].trim())
    if (kind === 'class') return cells[0] === '' ? undefined : sameSpelling(cells[0])
    if (kind === 'numbers') {
      if (cells.includes('')) return undefined
      return cells.map((cell) =>
        isNumber(table, cell)
          ? numberOf(table, cell)
          : refuse(where, cell, 'a number from -3.4e38 to 3.4e38, such as 0.5'),
      )
    }
    if (separator === undefined) {
      const holds = (cell: string) => cell !== '' && (flagOf(table, cell) ?? refuse(where, cell, '0 or 1'))
      return columns.filter((_, i) => holds(cells[i])).map(sameSpelling)
    }
    const labels = cells[0].split(separator).map((label) => sameSpelling(label.trim()))
    return [...new Set(labels.filter((label) => label !== ''))]
  }
}
