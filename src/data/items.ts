import { DataError } from '../base/errors.ts'
import { ANY, checkArgument, checkOptions, FLAG, listOf, TEXT } from '../base/options.ts'
import { currentGpu } from '../gpu/device.ts'
import { imageKind } from '../image/image-kind.ts'
import type { Files, Platform } from '../platform/platform.ts'

/** Suffixes of the formats that some decoder reads: their files are listed without a look into them. */
const imageSuffixes: ReadonlySet<string> = new Set([
  '.avif',
  '.bmp',
  '.gif',
  '.heic',
  '.heif',
  '.jfif',
  '.jpe',
  '.jpeg',
  '.jpg',
  '.png',
  '.tif',
  '.tiff',
  '.webp',
])

/** First bytes of a file by which its format is known. */
const SIGNATURE_BYTES = 12

/** Folders that systems make beside those of their users, in small letters; most others begin with a dot. */
const systemFolders: ReadonlySet<string> = new Set([
  // Windows, its bin and its index.
  '$recycle.bin',
  'system volume information',
  // Network storage of Synology and QNAP: thumbnails, bins and snapshots.
  '@eadir',
  '#recycle',
  '#snapshot',
  '@recycle',
  '@recently-snapshot',
  // Folders that macOS packs into archives and that repairs of file systems leave.
  '__macosx',
  'lost+found',
])

/** Options of `getImageFiles`. */
export interface GetImageFilesOptions {
  /** Only these folders of `path`, e.g. `['train']`. Default: all, and the images of `path` itself. */
  readonly folders?: readonly string[]
  /** Folders within folders too. Default true. */
  readonly recurse?: boolean
  /** Default: that of the open GPU. */
  readonly platform?: Platform
}

/**
 * The paths of all images below a folder.
 *
 * A file with the suffix of an image format (.jpg, .png, .webp, …) is an image without a look into it, so that a large folder
 * is listed as fast as its names are read; `verifyImages` and the loaders say which of them are not. Of every other file,
 * without a suffix or with one that is not known, the first 12 bytes decide, where the platform can read so little of it (Node).
 * TIFF is known by its suffix only, as the raw files of cameras begin alike. fastai goes by the suffix alone. Names that begin with a dot are left out, and folders that systems make, such
 * as `$RECYCLE.BIN` or `@eaDir`.
 *
 * In the same order on every machine: the images of a folder by name, then those of its folders by name (fastai takes
 * the order of the file system), then those of folders that are only linked. No folder is visited twice, by whatever
 * links it is reached. A folder without any image is named once in the log, as it will be no class; so is a link that
 * leads to a folder that was visited.
 *
 * @throws DataError  when `path` or one of `folders` does not exist, or there is no image
 *
 * Source: fastai data/transforms.py, get_files and get_image_files.
 */
export async function getImageFiles(path: string, options: GetImageFilesOptions = {}): Promise<string[]> {
  checkArgument('getImageFiles', 'path', path, TEXT)
  checkOptions('getImageFiles', options, { folders: listOf(TEXT), recurse: FLAG, platform: ANY })
  const { folders, recurse = true, platform = currentGpu().platform } = options
  const walk: Walk = { platform, recurse, visited: new Map(), found: [], again: [], linked: [] }
  const top = await visible(platform, path)
  const missing = folders?.filter((name) => !top.some((entry) => entry.kind === 'folder' && entry.name === name)) ?? []
  if (missing.length > 0) {
    throw new DataError(path || 'top folder', `there is no folder ${missing.join(', ')}`, {
      given: { 'folders there': namesOf(top, 'folder') || 'none' },
    })
  }
  const starts = folders && Array.from(new Set(folders), (name) => platform.files.join(path, name))
  for (const start of starts ?? [path]) await visit(walk, start)
  // Behind all others: of a folder and a link to it, the folder is the one whose name counts.
  for (let next = walk.linked.shift(); next; next = walk.linked.shift()) await visit(walk, next.folder, next.parent)
  const { found, again, visited } = walk
  if (found.length === 0) {
    throw new DataError(path || 'top folder', 'there is no image in this folder', {
      given: { there: namesOf(top, 'folder') || namesOf(top, 'file') || 'nothing' },
      expected: 'a folder of class folders of images, such as imagenette2/train/n01440764/x.JPEG',
    })
  }
  const empty = emptyFolders([...visited.values()], path)
  if (empty.length > 0) platform.log(`${path}: no image in ${listed(empty)}, left out`)
  if (again.length > 0) {
    platform.log(`${path}: links to folders that were visited already, not followed: ${listed(again)}`)
  }
  return found
}

/**
 * The name of the folder that a file lies in, which is its class in a folder of class folders.
 *
 * Source: fastai data/transforms.py, parent_label.
 */
export function parentLabel(path: string): string {
  checkArgument('parentLabel', 'path', path, TEXT)
  return ancestor(path, 1)
}

/**
 * The name of the folder `levels` above the file itself: 1 its folder, 2 the one around that; '' where there is none.
 * A backslash separates folders in the paths of Windows, and is a letter in those of others.
 */
export function ancestor(path: string, levels: number): string {
  return (
    path
      .split(separatorOf(path))
      .filter((part) => part !== '')
      .at(-1 - levels) ?? ''
  )
}

/** Pattern of what separates folders in a path: a backslash does in the paths of Windows, and is a letter in those of others. */
export function separatorOf(path: string): RegExp {
  const windows = /^([A-Za-z]:[/\\]|\\\\)/.test(path) || !path.includes('/')
  return windows ? /[/\\]/g : /\//g
}

/** A folder that was visited. */
interface Visited {
  readonly folder: string
  readonly parent: Visited | undefined
  readonly images: number
}

interface Walk {
  readonly platform: Platform
  readonly recurse: boolean
  /** Folders by their identity (`identify`). */
  readonly visited: Map<string, Visited>
  readonly found: string[]
  /** Links to folders that are still to be visited. */
  readonly linked: { readonly folder: string; readonly parent: Visited }[]
  /** Links that lead to where the walk has been. */
  readonly again: string[]
}

async function visit(walk: Walk, folder: string, parent?: Visited): Promise<void> {
  const { files } = walk.platform
  const id = (await files.identify?.(folder)) ?? folder
  if (walk.visited.has(id)) {
    walk.again.push(folder)
    return
  }
  const entries = await visible(walk.platform, folder)
  let images = 0
  for (const { kind, name } of entries) {
    if (kind !== 'file' || !(await isImage(files, folder, name))) continue
    walk.found.push(files.join(folder, name))
    images++
  }
  const here: Visited = { folder, parent, images }
  walk.visited.set(id, here)
  if (!walk.recurse) return
  for (const { kind, name, link } of entries) {
    if (kind !== 'folder') continue
    const below = files.join(folder, name)
    if (link) walk.linked.push({ folder: below, parent: here })
    else await visit(walk, below, here)
  }
}

/** The outermost folders without any image in or below them. */
function emptyFolders(visited: readonly Visited[], top: string): string[] {
  const full = new Set<Visited>()
  for (const one of visited) {
    for (let at: Visited | undefined = one.images > 0 ? one : undefined; at && !full.has(at); at = at.parent) {
      full.add(at)
    }
  }
  return visited
    .filter((one) => !full.has(one) && one.folder !== top && (one.parent === undefined || full.has(one.parent)))
    .map(({ folder }) => folder)
}

async function visible(platform: Platform, folder: string) {
  const entries = await platform.files.list(folder)
  return entries.filter(
    ({ name, kind }) => !name.startsWith('.') && !(kind === 'folder' && systemFolders.has(name.toLowerCase())),
  )
}

async function isImage(files: Files, folder: string, name: string): Promise<boolean> {
  if (imageSuffixes.has(/\.[^.]*$/.exec(name)?.[0].toLowerCase() ?? '')) return true
  // A file that cannot be read shows nothing that would make it an image.
  const glance = await files.glance?.(files.join(folder, name), SIGNATURE_BYTES).catch(() => undefined)
  const kind = glance && imageKind(glance.start)
  return kind !== undefined && kind !== 'TIFF'
}

/** The first few names of one kind. */
function namesOf(entries: Awaited<ReturnType<typeof visible>>, kind: 'file' | 'folder'): string {
  return listed(entries.filter((entry) => entry.kind === kind).map(({ name }) => name))
}

function listed(names: readonly string[]): string {
  return names.slice(0, 12).join(', ') + (names.length > 12 ? `, … (${names.length})` : '')
}
