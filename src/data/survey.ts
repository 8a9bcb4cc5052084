import { DataError } from '../base/errors.ts'
import { groupBy } from '../base/group-by.ts'
import { ANY, checkOptions, FUNCTION } from '../base/options.ts'
import { currentGpu } from '../gpu/device.ts'
import { imageKind } from '../image/image-kind.ts'
import { DEFAULT_DECODING, type Decoding } from '../image/decode-options.ts'
import type { Platform } from '../platform/platform.ts'
import { beginKey, COMPARED_BYTES } from './check-files.ts'
import { lookAlikes } from './class-counts.ts'
import { decodeEach } from './decode-each.ts'
import { labelsOf, type FolderImage, type ImageFolder } from './image-folder.ts'

/** A class with fewer images is named: a fifth of them is a single one, on which nothing can be measured. */
const FEW = 10
/** Classes with few images that are named one by one; of more, the smallest together. */
const LISTED = 5
/** Ratio of the largest class to the smallest that is named. Source: Johnson & Khoshgoftaar 2019, J. Big Data 6:27, §1. */
const UNEQUAL = 10
/** Images whose shorter side has fewer pixels are named: the lesson's smallest network input is 64. */
const SMALL_SIDE = 32

/** Image that can be used, and its size upright. */
export interface SurveyedImage extends FolderImage {
  readonly width: number
  readonly height: number
  /** Format by the first bytes, such as JPEG. */
  readonly format: string
  /** Equal for files with the same bytes; the path of the first of them. */
  readonly content: string
}

/** Image that cannot be used. */
export interface LeftOutImage extends FolderImage {
  readonly reason: string
}

/** Something about a folder of images that a person should know before training. */
export interface Finding {
  /**
   * 'unreadable' files, classes with 'few-images', 'unequal-classes', 'small-images', a 'copy-across' both sides, a
   * 'copy-with-two-labels', 'copies' on one side, 'similar-names' of classes, an 'unseen-class', 'one-class', 'no-side' where a
   * side has no image, 'one-number' where all targets are equal, and the kinds of `LeftApart`.
   */
  readonly kind: string
  /** 'error': training is not possible; 'warning': results suffer; 'note': something was done about it, or nothing is wrong. */
  readonly severity: 'error' | 'warning' | 'note'
  readonly text: string
  /** Files that it is about, relative to the folder. */
  readonly files: readonly string[]
}

/** Result of looking at every image of a folder. */
export interface Survey {
  readonly folder: ImageFolder
  /** Images that can be used. */
  readonly images: readonly SurveyedImage[]
  /** Images that cannot be decoded, or whose class is not trained on. */
  readonly leftOut: readonly LeftOutImage[]
  /** Names of the classes, or labels, that can be trained on, sorted; empty where targets are numbers. */
  readonly classes: readonly string[]
  readonly findings: readonly Finding[]
}

/** Options of `surveyImages`. */
export interface SurveyOptions {
  /** Way in which files become pixels. Default: that of `ImageBlock()` */
  readonly decoding?: Decoding
  /** Called with the number of images that were looked at, and that of all. */
  readonly onImage?: (done: number, count: number) => void
  /** Default: that of the open GPU */
  readonly platform?: Platform
}

/**
 * Decodes every image of a folder and says what is wrong with them: files that cannot be read, classes with few images,
 * copies on both sides of the split or under two labels.
 */
export async function surveyImages(folder: ImageFolder, options: SurveyOptions = {}): Promise<Survey> {
  checkOptions('surveyImages', options, { decoding: ANY, onImage: FUNCTION, platform: ANY })
  const { platform = currentGpu().platform, decoding = DEFAULT_DECODING, onImage = () => {} } = options
  const { images } = folder
  const sizes = new Map<number, { readonly width: number; readonly height: number }>()
  let done = 0
  const bad = await decodeEach(
    platform.decoder,
    images.map(({ path }) => ({ path, decoding })),
    ({ width, height }, i) => {
      sizes.set(i, { width, height })
      onImage(++done, images.length)
    },
  )
  const reasons = new Map(bad.map(({ path, reason }) => [path, reason]))
  const facts = await factsOf(platform, images)
  const readable = images.flatMap((image, i): SurveyedImage[] => {
    const size = sizes.get(i)
    return size ? [{ ...image, ...size, ...facts[i] }] : []
  })
  const unreadable = images
    .filter((_, i) => !sizes.has(i))
    .map((image) => ({ ...image, reason: shortReason(image, reasons.get(image.path)) }))
  const split = readable.some(({ side }) => side !== undefined)
  const classes = [...new Set(readable.filter(({ side }) => side !== 'valid').flatMap(labelsOf))].sort()
  const known = new Set(classes)
  const isUnseen = (image: FolderImage) => labelsOf(image).some((label) => !known.has(label))
  const unseen = readable.filter(isUnseen)
  const used = readable.filter((image) => !isUnseen(image))
  const leftOut = [
    ...unreadable,
    ...unseen.map((image) => ({
      ...image,
      reason:
        folder.targets.kind === 'class'
          ? `its class ${image.label} has no image to train on`
          : `no image to train on has one of its labels, ${image.label}`,
    })),
  ]
  return {
    folder,
    images: used,
    leftOut,
    classes,
    findings: findingsOf(folder, { used, unreadable, unseen, classes, split }),
  }
}

/** Reason of an error message: its first line without the path, which is printed beside it, and which package would help. */
function shortReason({ path }: FolderImage, message = 'it cannot be decoded'): string {
  const [first, ...rest] = message.split('\n')
  const text = first.startsWith(`${path}: `) ? first.slice(path.length + 2) : first
  const help = rest.find((line) => line.includes('npm install'))?.trim()
  return help === undefined ? text : `${text}; ${help}`
}

/** Format and identity of contents of every file. */
async function factsOf(
  { files, sha256 }: Platform,
  images: readonly FolderImage[],
): Promise<{ readonly format: string; readonly content: string }[]> {
  if (!files.glance) return images.map(({ path }) => ({ format: 'image', content: path }))
  const begins: { readonly format: string; readonly begin: string | undefined }[] = []
  const count = new Map<string, number>()
  for (const { path } of images) {
    const one = await files.glance(path, COMPARED_BYTES).catch(() => undefined)
    const begin = one && beginKey(one)
    if (begin !== undefined) count.set(begin, (count.get(begin) ?? 0) + 1)
    begins.push({ format: (one && imageKind(one.start)) ?? 'unknown', begin })
  }
  const first = new Map<string, string>()
  const facts: { readonly format: string; readonly content: string }[] = []
  for (const [i, { path }] of images.entries()) {
    const { format, begin } = begins[i]
    let content = path
    // Only files of one size that begin alike can be equal: of many photographs hardly any others have to be read.
    if (begin !== undefined && (count.get(begin) ?? 0) > 1) {
      const bytes = await files.read(path).catch((error: unknown) => {
        if (!(error instanceof DataError)) throw error
        return undefined
      })
      const key = bytes ? await sha256(bytes) : path
      content = first.get(key) ?? path
      first.set(key, content)
    }
    facts.push({ format, content })
  }
  return facts
}

interface Looked {
  readonly used: readonly SurveyedImage[]
  readonly unreadable: readonly LeftOutImage[]
  readonly unseen: readonly FolderImage[]
  readonly classes: readonly string[]
  readonly split: boolean
}

function findingsOf(folder: ImageFolder, { used, unreadable, unseen, classes, split }: Looked): Finding[] {
  const found: Finding[] = []
  const add = (severity: Finding['severity'], kind: string, text: string, files: readonly string[] = []) =>
    found.push({ kind, severity, text, files })
  const names = (images: readonly FolderImage[]) => images.map(({ name }) => name)
  const { kind: targetKind } = folder.targets
  if (targetKind === 'class' && classes.length < 2) {
    const one = classes.length === 1 ? `all images are of the class ${classes[0]}` : 'there is no image of any class'
    const needed = folder.layout === 'table' ? 'labels' : 'class folders'
    add('error', 'one-class', `${one}: at least two ${needed} are needed`)
  }
  if (targetKind === 'labels' && classes.length === 0) add('error', 'one-class', 'no image has any label')
  if (targetKind === 'numbers' && new Set(used.map(({ label }) => label)).size < 2) {
    add('error', 'one-number', 'all images have the same numbers, so that there is nothing to learn')
  }
  for (const [side, aim] of [['train', 'train'] as const, ['valid', 'measure'] as const]) {
    if (!split || used.some((image) => image.side === side)) continue
    const where = folder.layout === 'table' ? 'part of the table' : 'folder'
    add('error', 'no-side', `there is no image to ${aim} on: put images that can be read into its ${where}`)
  }
  const reasons = groupBy(unreadable, ({ reason }) => reason)
  for (const [reason, images] of reasons) {
    add(
      'warning',
      'unreadable',
      `${counted(images, 'file')} cannot be read and ${images.length === 1 ? 'is' : 'are'} left out: ${reason}`,
      names(images),
    )
  }
  for (const { kind, text, names: files } of folder.apart) {
    const severity = kind === 'other-part' ? 'note' : 'warning'
    add(severity, kind, `${counted(files, kind === 'no-file' ? 'row' : 'file')} left out: ${text}`, files)
  }
  for (const [label, images] of groupBy(unseen, ({ label }) => label)) {
    add('warning', 'unseen-class', `${label} has images to measure on and none to train on: left out`, names(images))
  }
  const training = used.filter(({ side }) => side !== 'valid')
  const counts = new Map<string, number>()
  for (const label of training.flatMap(labelsOf)) counts.set(label, (counts.get(label) ?? 0) + 1)
  const sizes = classes.map((label) => ({ label, count: counts.get(label) ?? 0 }))
  const few = sizes.filter(({ count }) => count < FEW).sort((a, b) => a.count - b.count)
  const measured = split ? '' : ', of which a fifth is measured on'
  const addFew = (what: string, whose: string) =>
    add(
      'warning',
      'few-images',
      `${what}${measured}: ${whose} results will be a matter of chance. More images help most`,
    )
  if (few.length > LISTED) {
    const smallest = few.slice(0, LISTED).map(({ label, count }) => `${label}: ${count}`)
    addFew(
      `${few.length} of ${classes.length} classes have fewer than ${FEW} images (${smallest.join(', ')}, …)`,
      'their',
    )
  } else {
    for (const { label, count } of few) {
      // A class of one image has none to hold back.
      if (count === 1 && !split && targetKind === 'class') {
        add(
          'warning',
          'few-images',
          `${label} has only 1 image, so that nothing is measured of it. More images help most`,
        )
      } else addFew(`${label} has only ${count} image${count === 1 ? '' : 's'}`, 'its')
    }
  }
  if (targetKind === 'class' && classes.length > 1) {
    const least = sizes.reduce((a, b) => (b.count < a.count ? b : a))
    const most = sizes.reduce((a, b) => (b.count > a.count ? b : a))
    if (most.count > UNEQUAL * least.count) {
      add(
        'warning',
        'unequal-classes',
        `${most.label} has ${most.count} images and ${least.label} ${least.count}: accuracy will say little about ${least.label}, see its recall`,
      )
    }
  }
  const small = used.filter(({ width, height }) => Math.min(width, height) < SMALL_SIDE)
  if (small.length > 0) {
    add(
      'warning',
      'small-images',
      `${counted(small, 'image')} less than ${SMALL_SIDE} pixels wide or high`,
      names(small),
    )
  }
  copies(used, add, targetKind === 'class' ? 'in two classes' : 'with two targets')
  for (const alike of lookAlikes(classes)) {
    add('warning', 'similar-names', `classes whose names look alike: ${alike.map((name) => `'${name}'`).join(' and ')}`)
  }
  return found
}

function copies(
  used: readonly SurveyedImage[],
  add: (severity: Finding['severity'], kind: string, text: string, files: readonly string[]) => void,
  twice: string,
): void {
  const kinds = { labels: [] as string[], across: [] as string[], same: [] as string[] }
  for (const group of groupBy(used, ({ content }) => content).values()) {
    if (group.length === 1) continue
    const files = group.map(({ name }) => name)
    const sides = new Set(group.map(({ side }) => side))
    if (new Set(group.map(({ label }) => label)).size > 1) kinds.labels.push(files.join(' = '))
    else if (sides.size > 1) kinds.across.push(files.join(' = '))
    else kinds.same.push(files.join(' = '))
  }
  const { labels, across, same } = kinds
  if (labels.length > 0) {
    add('warning', 'copy-with-two-labels', `${counted(labels, 'image')} ${twice}: one label is wrong`, labels)
  }
  if (across.length > 0) {
    add(
      'warning',
      'copy-across',
      `${counted(across, 'image')} to measure on and to train on too, which makes results look better than they are`,
      across,
    )
  }
  if (same.length > 0) {
    add('note', 'copies', `${counted(same, 'image')} there more than once; copies stay on one side of the split`, same)
  }
}

function counted(things: readonly unknown[], noun: string): string {
  return `${things.length} ${noun}${things.length === 1 ? '' : 's'}`
}
