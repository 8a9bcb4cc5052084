import { DataError } from '../base/errors.ts'
import { currentGpu } from '../gpu/device.ts'
import type { Platform } from '../platform/platform.ts'

/** What Python's mimetypes calls an image, which is what fastai goes by (vision/data.py, image_extensions). */
const imageExtensions: ReadonlySet<string> = new Set([
  '.avif', '.bmp', '.gif', '.heic', '.heif', '.ico', '.ief', '.jpe', '.jpeg', '.jpg', '.pbm', '.pgm', '.png', '.pnm',
  '.ppm', '.ras', '.rgb', '.svg', '.tif', '.tiff', '.webp', '.xbm', '.xpm', '.xwd',
])

export interface GetImageFilesOptions {
  /** Only these folders of `path`, e.g. `['train']`. Default: all, and the images of `path` itself. */
  readonly folders?: readonly string[]
  /** Folders within folders too. Default true. */
  readonly recurse?: boolean
  /** Default: that of the open GPU. */
  readonly platform?: Platform
}

/**
 * The paths of all images below a folder; names that begin with a dot are left out.
 *
 * In the same order on every machine: the images of a folder by name, then those of its folders by name (fastai takes
 * the order of the file system). A folder without any image is named once in the log, as it will be no class.
 *
 * @throws DataError  when `path` or one of `folders` does not exist, or there is no image
 *
 * Source: fastai data/transforms.py, get_files and get_image_files.
 */
export async function getImageFiles(path: string, options: GetImageFilesOptions = {}): Promise<string[]> {
  const { folders, recurse = true, platform = currentGpu().platform } = options
  const walk: Walk = { platform, recurse, empty: [] }
  const top = await visible(platform, path)
  const missing = folders?.filter((name) => !top.some((entry) => entry.kind === 'folder' && entry.name === name)) ?? []
  if (missing.length > 0) {
    throw new DataError(path, `there is no folder ${missing.join(', ')}`, {
      given: { 'folders there': namesOf(top, 'folder') || 'none' },
    })
  }
  const starts = folders?.map((name) => platform.files.join(path, name)) ?? [path]
  const found: string[] = []
  for (const start of starts) found.push(...await imagesBelow(walk, start, folders === undefined ? 0 : 1))
  if (found.length === 0) {
    throw new DataError(path, 'there is no image in this folder', {
      given: { there: namesOf(top, 'folder') || namesOf(top, 'file') || 'nothing' },
      expected: 'a folder of class folders of images, such as imagenette2/train/n01440764/x.JPEG',
    })
  }
  if (walk.empty.length > 0) platform.log(`${path}: no image in ${walk.empty.join(', ')}, left out`)
  return found
}

/**
 * The name of the folder that a file lies in, which is its class in a folder of class folders.
 *
 * Source: fastai data/transforms.py, parent_label.
 */
export function parentLabel(path: string): string {
  return ancestor(path, 1)
}

/** The name of the folder `levels` above the file itself: 1 its folder, 2 the one around that; '' where there is none. */
export function ancestor(path: string, levels: number): string {
  return path.split(/[/\\]/).filter((part) => part !== '').at(-1 - levels) ?? ''
}

interface Walk {
  readonly platform: Platform
  readonly recurse: boolean
  /** Folders without any image, only the outermost of each. */
  readonly empty: string[]
}

async function imagesBelow(walk: Walk, folder: string, depth: number): Promise<string[]> {
  const { files } = walk.platform
  const entries = await visible(walk.platform, folder)
  const images = entries.filter(({ kind, name }) => kind === 'file' && isImage(name))
  const found = images.map(({ name }) => files.join(folder, name))
  const emptyBefore = walk.empty.length
  if (walk.recurse) {
    for (const { kind, name } of entries) {
      if (kind === 'folder') found.push(...await imagesBelow(walk, files.join(folder, name), depth + 1))
    }
  }
  if (found.length === 0 && depth > 0) walk.empty.splice(emptyBefore, Infinity, folder)
  return found
}

async function visible(platform: Platform, folder: string) {
  return (await platform.files.list(folder)).filter(({ name }) => !name.startsWith('.'))
}

function isImage(name: string): boolean {
  return imageExtensions.has(/\.[^.]*$/.exec(name)?.[0].toLowerCase() ?? '')
}

/** The first few names of one kind. */
function namesOf(entries: Awaited<ReturnType<typeof visible>>, kind: 'file' | 'folder'): string {
  const names = entries.filter((entry) => entry.kind === kind).map(({ name }) => name)
  return names.slice(0, 12).join(', ') + (names.length > 12 ? `, … (${names.length})` : '')
}
