import type { Json } from '../base/json.ts'
import { formatTable } from '../base/table.ts'
import { ImageBlock } from '../node.ts'
import type { Platform } from '../platform/platform.ts'
import {
  labelsOf,
  readImageFolder,
  surveyImages,
  type Decoding,
  type Finding,
  type FolderImage,
  type ImageFolder,
  type ImageFolderOptions,
  type Side,
  type Survey,
} from '../exports/data.ts'
import { choice } from './command.ts'
import type { Output } from './output.ts'

/** Files that a finding or an error names at most. */
export const NAMED = 3

/** Options of a command that reads a folder of images, as they are typed. */
export interface FolderOptions {
  readonly csv?: string | undefined
  readonly 'image-column'?: string | undefined
  readonly 'label-column'?: readonly string[] | undefined
  readonly separator?: string | undefined
  readonly targets?: string | undefined
  readonly 'label-from'?: string | undefined
}

/** Definitions of these options, for `parseCommand`. */
export const FOLDER_DEFINITION = {
  csv: { type: 'string' },
  'image-column': { type: 'string' },
  'label-column': { type: 'string', multiple: true },
  separator: { type: 'string' },
  targets: { type: 'string' },
  'label-from': { type: 'string' },
} as const

/** Explanation of the layouts and these options, for `--help`. */
export const FOLDER_USAGE = `FOLDER is one of
  pictures/cat/1.jpg, pictures/dog/2.jpg         one folder per class, with any folders below
  pictures/train/cat/1.jpg, pictures/val/cat/…   the same below train/ and valid/, val/ or test/
  pictures/1.jpg and pictures/labels.csv         a table with a column path and a column label (and maybe
                                                 a column is_valid or split); other usual names do too.
                                                 A label may be a class, several labels (cat;outdoors), or
                                                 numbers (columns such as x and y)`

export const FOLDER_OPTIONS_USAGE = `  --csv FILE           the table of labels, where it is not in FOLDER or there are several
  --image-column NAME  its column of files (one called path, file, image, id or the like)
  --label-column NAME  its column of labels (one called label, class, tags or the like); for several columns of numbers, or
                       of 0 and 1, one per label, once for each, or NAME,NAME
  --separator TEXT     text between the labels of one image, such as ' ' (| or ; where a cell has it)
  --targets KIND       class, labels (several of an image, or none) or numbers (what the cells look like)
  --label-from WHICH   top (default): the class is the folder directly below FOLDER; parent: the folder around the file`

/** Decoder of images: the one that is named, otherwise sharp where it is installed, which decodes large photographs fastest. */
export async function decoderOf({ decoder }: Platform, given?: DecoderName): Promise<DecoderName> {
  if (given !== undefined) return given
  return (await decoder.formats?.())?.kinds.has('WebP') ? 'sharp' : 'turbo'
}

/** Name of a decoder, as of `ImageBlock`. */
export type DecoderName = Decoding['decoder']

/** Decoder and listeners of `look`. */
export interface LookOptions {
  readonly decoder?: DecoderName | undefined
  readonly onFolder?: (folder: ImageFolder) => void
  readonly onImage?: () => void
}

/**
 * Reads and decodes the images of a folder, with progress in a terminal.
 *
 * @param how.decoder   as of `decoderOf`
 * @param how.onFolder  called before the first image is decoded; its errors end the work
 * @param how.onImage   called after each image; its errors end the work
 */
export async function look(
  output: Output,
  path: string,
  options: ImageFolderOptions,
  { decoder, onFolder, onImage }: LookOptions = {},
): Promise<Survey> {
  const { platform } = output
  const folder = await readImageFolder(path, { ...options, platform })
  onFolder?.(folder)
  const { decoding } = ImageBlock({ decoder: await decoderOf(platform, decoder) })
  const { status } = platform
  const survey = await surveyImages(folder, {
    platform,
    decoding,
    onImage: (done, count) => {
      status?.(`looking at the images: ${done} of ${count}`)
      onImage?.()
    },
  })
  status?.('')
  return survey
}

/** Returns the options of `readImageFolder` that were typed. @throws OptionError  if one has not one of its values */
export function folderOptions(values: FolderOptions): ImageFolderOptions {
  const { csv, separator } = values
  const columns = values['label-column']?.flatMap((names) => names.split(',')).map((name) => name.trim())
  const labelColumn = columns?.length === 1 ? columns[0] : columns
  const given = {
    csv,
    separator,
    imageColumn: values['image-column'],
    labelColumn,
    targets: choice('--targets', values.targets, ['class', 'labels', 'numbers']),
    labelFrom: choice('--label-from', values['label-from'], ['top', 'parent']),
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

/** Counts of a class: images to train on, to measure on, and left out. */
export interface ClassCount {
  readonly name: string
  readonly train: number
  readonly valid: number
  readonly leftOut: number
}

/**
 * Counts the images of every class, or label.
 *
 * @param sideOf  side of an image; without it all of them count as to train on
 */
export function countsOf(survey: Survey, sideOf: (path: string) => Side | undefined): ClassCount[] {
  const counts = new Map(survey.classes.map((name) => [name, { name, train: 0, valid: 0, leftOut: 0 }]))
  const add = (image: FolderImage, where: 'train' | 'valid' | 'leftOut') => {
    for (const label of labelsOf(image)) {
      const count = counts.get(label)
      if (count) count[where]++
    }
  }
  for (const image of survey.images) add(image, sideOf(image.path) === 'valid' ? 'valid' : 'train')
  for (const image of survey.leftOut) add(image, 'leftOut')
  return [...counts.values()]
}

/** Range of the numbers of a column over all images. */
export interface NumberRange {
  readonly name: string
  readonly lowest: number
  readonly mean: number
  readonly highest: number
}

/** Ranges of the numbers of the images; empty where targets are labels. */
function rangesOf({ folder: { targets }, images }: Survey): NumberRange[] {
  if (targets.kind !== 'numbers' || images.length === 0) return []
  return targets.columns.map((name, column) => {
    const values = images.map(({ target }) => Number(target[column])).sort((a, b) => a - b)
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    return { name, lowest: values[0], mean, highest: values[values.length - 1] }
  })
}

/** Formats what was seen for people. */
export function lookText(survey: Survey, counts: readonly ClassCount[], split: string): string {
  const { folder, images, classes, findings } = survey
  const rows = counts.map(({ name, train, valid, leftOut }) => [
    name,
    ...[train + valid, train, valid, leftOut].map(String),
  ])
  const widths = images.map(({ width, height }) => [width, height] as const).sort(([a, b], [c, d]) => a * b - c * d)
  const formats = [...new Set(images.map(({ format }) => format))]
    .map((format) => [format, images.filter((image) => image.format === format).length] as const)
    .sort(([, a], [, b]) => b - a)
  const size = (at: number) => widths[at]?.join(' × ') ?? '–'
  const { kind, description } = folder.targets
  const ranges = rangesOf(survey).map(({ name, ...range }) => [
    name,
    ...Object.values(range).map((value) => String(Number(value.toPrecision(5)))),
  ])
  const [one, several] = kind === 'class' ? ['class', 'classes'] : ['label', 'labels']
  const what = kind === 'numbers' ? 'with numbers' : `of ${classes.length} ${classes.length === 1 ? one : several}`
  return [
    `${images.length} images ${what}: ${folder.description} in ${folder.path}`,
    '',
    ...(rows.length > 0 ? [formatTable([[one, 'images', 'train', 'measure', 'left out'], ...rows]), ''] : []),
    ...(ranges.length > 0 ? [formatTable([['column', 'lowest', 'mean', 'highest'], ...ranges]), ''] : []),
    ...(folder.layout === 'table' ? [`targets  ${description} (--targets, if they are something else)`] : []),
    ...(split === '' ? [] : [split]),
    `sizes    ${size(0)} to ${size(widths.length - 1)} pixels, half of them ${size(widths.length >> 1)} or larger`,
    `formats  ${formats.map(([format, count]) => `${format} ${count}`).join(', ') || '–'}`,
    ...(findings.length > 0 ? ['', ...findings.map(findingText)] : ['', 'nothing to complain about']),
  ].join('\n')
}

function findingText({ severity, text, files }: Finding): string {
  const mark = { error: '✗', warning: '!', note: '·' }[severity]
  const named = files.slice(0, NAMED).map((file) => `\n      ${file}`)
  const others = files.length > NAMED ? `\n      … and ${files.length - NAMED} more` : ''
  return `  ${mark} ${text}${named.join('')}${others}`
}

/** Returns what was seen as a document. */
export function lookJson(survey: Survey, counts: readonly ClassCount[]): { readonly [name: string]: Json } {
  const { folder, images, leftOut, findings } = survey
  return {
    folder: folder.path,
    layout: folder.layout,
    images: images.length,
    targets: { ...folder.targets },
    classes: counts.map((count) => ({ ...count })),
    ...(folder.targets.kind === 'numbers' && { numbers: rangesOf(survey).map((range) => ({ ...range })) }),
    leftOut: leftOut.map(({ name, label, reason }) => ({ file: name, label, reason })),
    findings: findings.map((finding) => ({ ...finding })),
  }
}
