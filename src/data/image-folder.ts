import { DataError, OptionError } from '../base/errors.ts'
import { groupBy } from '../base/group-by.ts'
import { ANY, checkArgument, checkOptions, listOf, oneOf, oneOfTexts, PATH, TEXT } from '../base/options.ts'
import { currentGpu } from '../gpu/device.ts'
import type { Platform } from '../platform/platform.ts'
import {
  findTable,
  FOLDER_CLASSES,
  type FolderTargets,
  type ImageTarget,
  type LabelTable,
  type LabelTableOptions,
} from './label-table.ts'
import { DELIMITER } from './image-table.ts'
import { getImageFiles } from './items.ts'
import { folderLabel, sameSpelling } from './targets.ts'

/** Part of a data set that an image belongs to. */
export type Side = 'train' | 'valid'

/** Labeled image of a folder. */
export interface FolderImage {
  /** Path of the file. */
  readonly path: string
  /** Path relative to the folder, with `/` between names. */
  readonly name: string
  /** Class, or other target as a text. */
  readonly label: string
  readonly target: ImageTarget
  /** Side that the folder or its table gives the image; `undefined` where it says nothing. */
  readonly side: Side | undefined
}

/** Files of a folder that take no part, and the reason. */
export interface LeftApart {
  readonly kind: 'no-class' | 'other-part' | 'no-label' | 'not-in-table' | 'no-file'
  /** One sentence without the names. */
  readonly text: string
  /** Relative paths of the files, or cells of the table. */
  readonly names: readonly string[]
}

/** Folder of images whose layout was recognized. */
export interface ImageFolder {
  readonly path: string
  /**
   * 'classes': one folder per class; 'sides': such folders below train/ and valid/ or the like; 'table': labels are in a
   * CSV file.
   */
  readonly layout: 'classes' | 'sides' | 'table'
  /** Layout in words, such as `class folders below train/ and val/`. */
  readonly description: string
  /** Meaning of the labels. */
  readonly targets: FolderTargets
  /** Path of the table of labels; `undefined` where folders are the classes. */
  readonly table?: string
  readonly images: readonly FolderImage[]
  readonly apart: readonly LeftApart[]
}

/** Options of `readImageFolder`. */
export interface ImageFolderOptions extends LabelTableOptions {
  /** Path of the table of labels. Default: the only suitable CSV file in the folder, or `<folder>.csv`, where there are no class folders */
  readonly csv?: string
  /**
   * Folder that is the class of an image: 'top' is the first below the folder of class folders, as in torchvision's
   * ImageFolder; 'parent' the one around the file, as fastai's parent_label. Default 'top'
   */
  readonly labelFrom?: 'top' | 'parent'
  /** Name of the folder, or of the part in a table, to measure on. Default: valid, val, validation or dev, otherwise test */
  readonly valid?: string
  /** Default: that of the open GPU */
  readonly platform?: Platform
}

const TRAIN: readonly string[] = ['train', 'training']
/** Names of the folder that is measured on; an earlier one wins. */
const VALID: readonly string[] = ['valid', 'val', 'validation', 'dev', 'test', 'testing']

/**
 * Finds the images of a folder and their labels, in one of the layouts that people have:
 *
 *   pictures/cat/1.jpg                      one folder per class, whatever is below it
 *   pictures/train/cat/1.jpg, val/cat/2.jpg  the same below train and valid, val, validation, dev or test
 *   pictures/1.jpg, labels.csv              a table with a column of paths, one of labels, and maybe one of sides
 *
 * A folder around all others is passed over. Nothing is decoded: see `surveyImages`.
 *
 * @throws DataError  if the folder does not exist or has no images, or the table cannot be used
 * @throws OptionError  if the folder or part to measure on does not exist, or an option is not for such a folder
 */
export async function readImageFolder(path: string, options: ImageFolderOptions = {}): Promise<ImageFolder> {
  checkArgument('readImageFolder', 'path', path, PATH)
  checkOptions<ImageFolderOptions>('readImageFolder', options, {
    csv: PATH,
    labelFrom: TEXT,
    valid: TEXT,
    platform: ANY,
    imageColumn: TEXT,
    labelColumn: oneOf(TEXT, listOf(TEXT)),
    separator: DELIMITER,
    targets: TARGETS,
  })
  const platform = options.platform ?? currentGpu().platform
  const found = await findFiles(platform, path)
  // Options of a table ask for one.
  const asked = ASKS_FOR_TABLE.some((name) => options[name] !== undefined)
  const folders = asked ? undefined : byFolders(path, found, options)
  if (folders && new Set(folders.images.map(({ label }) => label)).size > 1) return folders
  const table = await findTable(platform, path, options.csv, options, !folders || folders.images.length === 0)
  if (table) return byTable(platform, path, found, table, options)
  if (folders) return folders
  throw new DataError(path, 'there is no table of labels in this folder', {
    expected: 'a CSV file with a column such as path or file, and one such as label',
    fix: 'name it: --csv FILE, or the option csv',
  })
}

/** Options that only a table of labels has. */
const ASKS_FOR_TABLE = ['csv', 'imageColumn', 'labelColumn', 'separator', 'targets'] as const
const TARGETS = oneOfTexts('class', 'labels', 'numbers')

/** Labels of an image: its class, or all it has; none where its target is numbers. */
export function labelsOf({ target }: Pick<FolderImage, 'target'>): readonly string[] {
  if (typeof target === 'string') return [target]
  return target.filter((one) => typeof one === 'string')
}

/** File by its path, and by its names below the folder. */
interface Found {
  readonly path: string
  readonly parts: readonly string[]
}

async function findFiles(platform: Platform, path: string): Promise<Found[]> {
  const { files } = platform
  const items = await getImageFiles(path, { platform })
  const separator = files.join('a', 'b')[1]
  const top = files.join(path)
  const prefix = top.endsWith(separator) ? top : `${top}${separator}`
  return items.map((item) => ({
    path: item,
    parts: (item.startsWith(prefix) ? item.slice(prefix.length) : item).split(separator),
  }))
}

const nameOf = ({ parts }: Found): string => parts.join('/')

function byFolders(
  path: string,
  found: readonly Found[],
  { labelFrom = 'top', valid }: ImageFolderOptions,
): ImageFolder {
  const depth = wrapping(found)
  const inFolders = found.filter(({ parts }) => parts.length > depth + 1)
  const outside = found.filter(({ parts }) => parts.length <= depth + 1)
  const sides = sidesOf(path, foldersBelow(inFolders, depth), valid)
  const level = depth + (sides ? 1 : 0)
  const images: FolderImage[] = []
  const others: Found[] = []
  for (const file of inFolders) {
    const { parts } = file
    const side = sides?.get(parts[depth])
    if (sides && !sides.has(parts[depth])) others.push(file)
    else if (parts.length < level + 2) outside.push(file)
    else {
      const label = folderLabel(labelFrom === 'top' ? parts[level] : (parts.at(-2) ?? ''))
      images.push({ path: file.path, name: nameOf(file), label, target: label, side })
    }
  }
  const apart = [...groupBy(others, ({ parts }) => parts[depth])].map(([folder, files]): LeftApart => ({
    kind: 'other-part',
    text: `the folder ${folder} is neither trained nor measured on`,
    names: files.map(nameOf),
  }))
  if (outside.length > 0) {
    apart.push({ kind: 'no-class', text: 'not in a class folder', names: outside.map(nameOf) })
  }
  const around = depth > 0 ? ` in ${inFolders[0].parts.slice(0, depth).join('/')}` : ''
  const named = sides && [...sides].map(([name]) => `${name}/`).join(' and ')
  return {
    path,
    layout: images.some(({ side }) => side !== undefined) ? 'sides' : 'classes',
    targets: FOLDER_CLASSES,
    description: named ? `class folders below ${named}${around}` : `class folders${around}`,
    images,
    apart,
  }
}

/** Number of folders around all others; files that lie beside them are not counted. */
function wrapping(found: readonly Found[]): number {
  for (let depth = 0; ; depth++) {
    const deeper = found.filter(({ parts }) => parts.length > depth + 1)
    const names = new Set(deeper.map(({ parts }) => parts[depth]))
    if (names.size !== 1 || !deeper.some(({ parts }) => parts.length > depth + 2)) return depth
  }
}

/** Returns the names of folders at a depth, with those of the folders in each. */
function foldersBelow(inFolders: readonly Found[], depth: number): Map<string, Set<string>> {
  const below = groupBy(inFolders, ({ parts }) => parts[depth])
  const deeper = (files: readonly Found[]) => files.filter(({ parts }) => parts.length > depth + 2)
  return new Map([...below].map(([name, files]) => [name, new Set(deeper(files).map(({ parts }) => parts[depth + 1]))]))
}

/**
 * Sides of the folders at the top, if that is what they are: all of them have such a name, or those to train and to measure on
 * hold folders of one name, which are classes. If only the one to train on has folders of classes, it is the only one, without a
 * side: nothing can be measured on images without classes, such as those of a contest.
 */
function sidesOf(
  path: string,
  folders: ReadonlyMap<string, ReadonlySet<string>>,
  valid: string | undefined,
): Map<string, Side | undefined> | undefined {
  const tops = [...folders.keys()]
  const hasClasses = (top: string) => (folders.get(top)?.size ?? 0) > 0
  const named = (names: readonly string[]) => {
    const there = names.flatMap((name) => tops.find((top) => top.toLowerCase() === name) ?? [])
    return there.find(hasClasses) ?? there.at(0)
  }
  const train = named(TRAIN)
  if (valid !== undefined) {
    const measured = tops.find((top) => top === valid)
    if (measured === undefined || train === undefined) {
      throw new OptionError('readImageFolder', `${path} has no folder ${measured === undefined ? valid : 'train'}`, {
        given: { 'folders there': tops.slice(0, 12).join(', ') || 'none' },
        expected: 'folders train and the one that is named to measure on',
      })
    }
    return new Map([
      [train, 'train'],
      [measured, 'valid'],
    ])
  }
  const measured = named(VALID)
  if (train === undefined || measured === undefined) return undefined
  const known = tops.every((top) => [...TRAIN, ...VALID].includes(top.toLowerCase()))
  const isShared = [...(folders.get(train) ?? [])].some((name) => folders.get(measured)?.has(name))
  if (!known && !isShared) return undefined
  if (hasClasses(train) && !hasClasses(measured)) return new Map([[train, undefined]])
  return new Map([
    [train, 'train'],
    [measured, 'valid'],
  ])
}

function byTable(
  platform: Platform,
  path: string,
  found: readonly Found[],
  table: LabelTable,
  { labelFrom, valid }: ImageFolderOptions,
): ImageFolder {
  if (labelFrom !== undefined) {
    throw new OptionError('readImageFolder', 'labelFrom is for class folders, and these labels are those of a table', {
      given: { labelFrom, table: table.file },
      fix: 'leave it out',
    })
  }
  const lookUp = finder(
    found,
    table.rows.map(({ cells }) => cells[table.path]),
  )
  const sideOf = sideReader(table, valid)
  const images: FolderImage[] = []
  const lines = new Map<string, number>()
  const apart = { 'no-file': [] as string[], 'no-label': [] as string[], 'not-in-table': [] as string[] }
  const others: string[] = []
  for (const { line, cells } of table.rows) {
    // Rows without anything end many a table of a spreadsheet.
    if (cells.every((one) => one.trim() === '')) continue
    const where = `${table.file}:${line}`
    const cell = cells[table.path]
    const file = lookUp(cell)
    const side = sideOf(where, cells)
    if (!file) {
      if (side !== 'left out') apart['no-file'].push(cell)
      continue
    }
    const before = lines.get(file.path)
    if (before !== undefined) {
      throw new DataError(where, 'the table lists this image twice', {
        given: { image: cell, file: file.path, 'line before': before },
        fix: 'keep one of the rows',
      })
    }
    lines.set(file.path, line)
    if (side === 'other') {
      others.push(nameOf(file))
      continue
    }
    const target = side === 'left out' ? undefined : table.targetOf(where, cells)
    if (target === undefined || side === 'left out') apart['no-label'].push(nameOf(file))
    else images.push({ path: file.path, name: nameOf(file), label: targetText(target), target, side })
  }
  for (const file of found) if (!lines.has(file.path)) apart['not-in-table'].push(nameOf(file))
  const missing = apart['no-file']
  if (lines.size === 0 && missing.length > 0) {
    throw new DataError(table.file, 'no row names an image of the folder', {
      given: { folder: path, 'a row': missing[0], 'an image': nameOf(found[0]), column: table.columns[table.path] },
      expected: 'paths below the folder, or names of files, with or without suffix',
      fix: 'name the folder of the images, or the column that has their names: --image-column, or the option imageColumn',
    })
  }
  const texts = {
    'no-file': 'rows of the table name no image of the folder',
    'no-label': 'the table gives no label, or leaves the image out',
    'not-in-table': 'not in the table',
  } as const
  const kinds = Object.keys(texts) as (keyof typeof texts)[]
  const sides = images.filter(({ side }) => side !== undefined).length
  const isSplit = sides === images.length && new Set(images.map(({ side }) => side)).size === 2
  if (sides > 0 && !isSplit) {
    throw new DataError(table.file, 'the table does not divide its images into both sides', {
      given: { images: images.length, 'with a side': sides },
      expected: 'train and valid, or False and True, in every row',
    })
  }
  return {
    path,
    layout: 'table',
    targets: table.targets,
    table: table.file,
    description: `labels of ${platform.files.join(table.file)}`,
    images,
    apart: [
      ...(others.length > 0
        ? [{ kind: 'other-part' as const, text: 'the table has them in a part that is not used', names: others }]
        : []),
      ...kinds
        .filter((kind) => apart[kind].length > 0)
        .map((kind) => ({ kind, text: texts[kind], names: apart[kind] })),
    ],
  }
}

/** Returns a target as a text. */
function targetText(target: ImageTarget): string {
  return typeof target === 'string' ? target : target.join('; ')
}

/** Side that a table gives an image: none, or that of a part which is neither trained nor measured on. */
type TableSide = Side | 'left out' | 'other' | undefined

/**
 * Returns a function that reads the side of a row.
 *
 * @param valid  name of the part to measure on. Default: as of folders, the first of valid, val and so on that the table has
 * @throws OptionError  if the table has no such part
 */
function sideReader(
  { file, side, columns, rows }: LabelTable,
  valid: string | undefined,
): (where: string, cells: readonly string[]) => TableSide {
  const textOf = (cells: readonly string[]) => (cells[side] ?? '').trim().toLowerCase()
  const parts = new Set(rows.map(({ cells }) => textOf(cells)))
  const measured = valid?.toLowerCase() ?? VALID.find((name) => parts.has(name))
  if (valid !== undefined && !parts.has(valid.toLowerCase())) {
    throw new OptionError('readImageFolder', `${file} has no part ${valid}`, {
      given: { 'parts there': side < 0 ? 'none' : [...parts].slice(0, 12).join(', ') },
      expected: 'a column such as split or side, which has that name in the rows to measure on',
    })
  }
  return (where, cells) => {
    if (side < 0) return undefined
    const text = textOf(cells)
    if (text === measured || (valid === undefined && ['true', '1'].includes(text))) return 'valid'
    if ([...TRAIN, 'false', '0'].includes(text)) return 'train'
    if (text === '' || text === 'left out') return 'left out'
    if (VALID.includes(text)) return 'other'
    throw new DataError(where, 'the side of the image is neither train nor valid', {
      given: { [columns[side]]: cells[side] },
      expected: `train or ${measured ?? 'valid'}, False or True, or nothing for an image that is left out`,
    })
  }
}

/**
 * Returns a function that finds the file of a table's cell, with or without its suffix: by its path below the folder, or by one
 * of which the other is the end, where no other file has it. So `1.jpg` and `photos/cat/1.jpg` name `cat/1.jpg`, and `dog/1.jpg`
 * does not. A file that one of the cells names exactly is that of no other cell.
 */
function finder(found: readonly Found[], cells: readonly string[]): (cell: string) => Found | undefined {
  const named = new Set(cells.flatMap((cell) => [cell, plainName(cell)]))
  const exact = new Map(found.map((file) => [nameOf(file), file]))
  const others = found.filter((file) => !named.has(nameOf(file)))
  const maps = [(name: string) => name, stem].map((key) => {
    const whole = new Map<string, Found | undefined>()
    const ends = new Map<string, Found | undefined>()
    for (const file of others) {
      const names = endsOf(key(sameSpelling(nameOf(file))))
      // Two files of one name are told apart by more of their path only.
      for (const name of names) ends.set(name, ends.has(name) ? undefined : file)
      whole.set(names[0], whole.has(names[0]) ? undefined : file)
    }
    return { whole, ends }
  })
  return (cell) => {
    const name = plainName(cell)
    const known = exact.get(cell) ?? exact.get(name)
    if (known) return known
    const names = endsOf(sameSpelling(name))
    for (const { whole, ends } of maps) {
      const file = ends.get(names[0]) ?? names.map((end) => whole.get(end)).find((one) => one !== undefined)
      if (file) return file
    }
    return undefined
  }
}

/** Returns a path, and what is left of it without its first folders: `a/b/1`, `b/1` and `1`. */
function endsOf(path: string): string[] {
  const parts = path.split('/')
  return parts.map((_, i) => parts.slice(i).join('/'))
}

/** Returns the name in a cell without what people and other systems write around it. */
function plainName(cell: string): string {
  return cell.trim().replaceAll('\\', '/').replace(/^\.\//, '')
}

const stem = (name: string): string => name.replace(/\.[^./]*$/, '')
