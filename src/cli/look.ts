import { OptionError } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import { formatTable } from '../base/table.ts'
import { ImageBlock } from '../node.ts'
import type { Platform } from '../platform/platform.ts'
import {
  readImageFolder,
  surveyImages,
  type Decoding,
  type Finding,
  type ImageFolderOptions,
  type Side,
  type Survey,
} from '../exports/data.ts'
import type { Output } from './output.ts'

/** Files that a finding names at most. */
const NAMED = 3

/** Options of a command that reads a folder of images, as they are typed. */
export interface FolderOptions {
  readonly csv?: string | undefined
  readonly 'label-from'?: string | undefined
}

/** Definitions of these options, for `parseCommand`. */
export const FOLDER_DEFINITION = { csv: { type: 'string' }, 'label-from': { type: 'string' } } as const

/** Explanation of the layouts and these options, for `--help`. */
export const FOLDER_USAGE = `FOLDER is one of
  pictures/cat/1.jpg, pictures/dog/2.jpg         one folder per class, with any folders below
  pictures/train/cat/1.jpg, pictures/val/cat/…   the same below train/ and valid/, val/ or test/
  pictures/1.jpg and pictures/labels.csv         a table with a column path and a column label (and maybe
                                                 a column is_valid or split); other usual names do too`

export const FOLDER_OPTIONS_USAGE = `  --csv FILE           the table of labels, where it is not in FOLDER or there are several
  --label-from WHICH   top (default): the class is the folder directly below FOLDER; parent: the folder around the file`

/** Decoder of images: the one that is named, otherwise sharp where it is installed, which is many times as fast for photographs. */
export async function decoderOf({ decoder }: Platform, given?: DecoderName): Promise<DecoderName> {
  if (given !== undefined) return given
  return (await decoder.formats?.())?.kinds.has('WebP') ? 'sharp' : 'built-in'
}

/** Name of a decoder, as of `ImageBlock`. */
export type DecoderName = Decoding['decoder']

/** Reads and decodes the images of a folder, with progress in a terminal. @param decoder  as of `decoderOf` */
export async function look(
  output: Output,
  path: string,
  options: ImageFolderOptions,
  decoder?: DecoderName,
): Promise<Survey> {
  const { platform } = output
  const folder = await readImageFolder(path, { ...options, platform })
  const { decoding } = ImageBlock({ decoder: await decoderOf(platform, decoder) })
  const { status } = platform
  const survey = await surveyImages(folder, {
    platform,
    decoding,
    onImage: (done, count) => status?.(`looking at the images: ${done} of ${count}`),
  })
  status?.('')
  return survey
}

/** Returns the option `labelFrom`. @throws OptionError  if it is neither of its values */
export function labelFrom(given: string | undefined): 'top' | 'parent' {
  if (given === undefined || given === 'top') return 'top'
  if (given === 'parent') return 'parent'
  throw new OptionError('--label-from', `'${given}' is not one of its values`, { expected: 'top, parent' })
}

/** Counts of a class: images to train on, to measure on, and left out. */
export interface ClassCount {
  readonly name: string
  readonly train: number
  readonly valid: number
  readonly leftOut: number
}

/**
 * Counts the images of every class.
 *
 * @param sideOf  side of an image; without it all of them count as to train on
 */
export function countsOf(survey: Survey, sideOf: (path: string) => Side | undefined): ClassCount[] {
  return survey.classes.map((name) => {
    const own = survey.images.filter(({ label }) => label === name)
    const valid = own.filter(({ path }) => sideOf(path) === 'valid').length
    const leftOut = survey.leftOut.filter(({ label }) => label === name).length
    return { name, train: own.length - valid, valid, leftOut }
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
  return [
    `${images.length} images of ${classes.length} classes: ${folder.description} in ${folder.path}`,
    '',
    ...(rows.length > 0 ? [formatTable([['class', 'images', 'train', 'measure', 'left out'], ...rows]), ''] : []),
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
    classes: counts.map((count) => ({ ...count })),
    leftOut: leftOut.map(({ name, label, reason }) => ({ file: name, label, reason })),
    findings: findings.map((finding) => ({ ...finding })),
  }
}
