import { DataError, OptionError } from '../../base/errors.ts'
import { requireShallow } from '../../base/json.ts'
import { fileText } from '../../base/utf8.ts'
import type { FileEntry, Files } from '../platform.ts'
import { byName, join, names, ORIGIN } from './paths.ts'
import { alreadyThere, bytesOf, glanceAt, readOnly, type BlobFiles } from './blob-files.ts'

/**
 * The files below a URL, read only. A server does not list folders, so `manifest.json` beside them does: an array of
 * their paths, `["train/n01440764/1.JPEG", …]`. An entry may also be an address, `"https://cdn.example/cat/1.jpg"` or
 * `"/images/cat/1.jpg"`, as in a link of a page there.
 *
 * @param address  of a folder, ending in /, or of a page that lies beside the files; relative ones begin at this page
 * @throws OptionError  for a text that is not an address
 */
export function urlFiles(address: string | URL): Files {
  const base = baseOf(address)
  const addressOf = (path: string): URL =>
    ORIGIN.test(path) ? new URL(path) : new URL(names(path).map(encodeURIComponent).join('/'), base)
  const fetched = async (path: string): Promise<Response> => {
    const url = addressOf(path)
    const response = await fetch(url).catch(async (cause: unknown) => {
      throw await unreachable(path, url, cause)
    })
    if (response.ok) return response
    throw new DataError(path, `the server answered ${response.status} ${response.statusText}`, {
      given: { url: url.href },
      ...(path === MANIFEST && response.status === 404
        ? {
            expected: 'a list of the files beside them, as a server lists no folders: ["cat/1.jpg", "dog/2.jpg"]',
            fix: 'write one, or take files of the visitor: addFiles(…)',
          }
        : {}),
      cause: response,
    })
  }
  const read = async (path: string): Promise<Uint8Array> => {
    const response = await fetched(path)
    return new Uint8Array(
      await response.arrayBuffer().catch((cause: unknown) => {
        throw new DataError(path, 'the connection broke before all of the file was there', {
          given: { url: response.url },
          cause,
        })
      }),
    )
  }
  let manifest: Promise<Listing> | undefined
  const listing = (): Promise<Listing> =>
    (manifest ??= read(MANIFEST)
      .then((bytes) => readManifest(bytes, base))
      .catch((error) => {
        // The server may answer the next time.
        manifest = undefined
        throw error
      }))
  return {
    join,
    read,
    list: async (folder) => {
      const entries = (await listing()).get(placeOf(folder))
      if (entries) return [...entries.values()].sort(byName)
      throw new DataError(folder, `no such folder in ${MANIFEST}`)
    },
    exists: async (path) => {
      const folders = await listing().catch((error: unknown) => {
        // Without a manifest there are no files, though some may be read by their path.
        if (error instanceof DataError && error.cause instanceof Response && error.cause.status === 404) {
          return undefined
        }
        throw error
      })
      if (!folders) return false
      const parts = partsOf(path)
      return (
        folders.has(parts.join('/')) || (folders.get(parts.slice(0, -1).join('/'))?.has(parts.at(-1) ?? '') ?? false)
      )
    },
    readText: async (path) => fileText(path, await read(path)),
    ...readOnly('files of a server cannot be written'),
  }
}

/** @throws OptionError  for a text that is not an address, not even a relative one */
function baseOf(address: string | URL): URL {
  const page = globalThis.location?.href
  if (URL.canParse(String(address), page)) return new URL(address, page)
  throw new OptionError('urlFiles', 'this is not an address', {
    given: { address: String(address) },
    expected: "'images/', relative to the page, or 'https://example.org/images/'",
  })
}

/**
 * Tells a server that does not answer from one that answers and does not allow this page to read it: only the latter answers
 * a request whose result the page may not see.
 */
async function unreachable(path: string, url: URL, cause: unknown): Promise<DataError> {
  const given = { url: url.href }
  const foreign = globalThis.location !== undefined && url.origin !== globalThis.location.origin
  const answers =
    foreign &&
    (await fetch(url, { mode: 'no-cors', method: 'HEAD' })
      .then(() => true)
      .catch(() => false))
  if (!answers) {
    return new DataError(path, 'the server cannot be reached', {
      given,
      ...(foreign && location.protocol === 'https:' && url.protocol === 'http:'
        ? { fix: 'a page by https reads nothing by http: use an address that begins with https' }
        : {}),
      cause,
    })
  }
  return new DataError(path, 'the server answers, but does not let this page read its files (CORS)', {
    given: { ...given, page: location.origin },
    expected: `the header Access-Control-Allow-Origin: ${location.origin} (or *) in its answers`,
    fix: 'set it on that server, or serve the images from the server of the page',
    cause,
  })
}

const MANIFEST = 'manifest.json'

/** Entries of each folder, by name. The host of an absolute address counts as a folder. */
type Listing = ReadonlyMap<string, ReadonlyMap<string, FileEntry>>

function partsOf(path: string): string[] {
  const origin = ORIGIN.exec(path)?.[0]
  return origin === undefined ? names(path) : [origin, ...names(path.slice(origin.length))]
}

function placeOf(path: string): string {
  return partsOf(path).join('/')
}

function readManifest(bytes: Uint8Array, base: URL): Listing {
  const refuse = (what: string, given?: Readonly<Record<string, unknown>>): DataError =>
    new DataError(MANIFEST, what, { given, expected: 'a JSON array of paths, such as ["cat/1.jpg", "dog/2.jpg"]' })
  const text = fileText(MANIFEST, bytes)
  const list = parsed(text)
  // A server of one page answers every address with it.
  if (!Array.isArray(list)) throw refuse('not a list of files', { text: text.slice(0, 100) })
  if (list.length === 0) throw refuse('it lists no files')
  const folders = new Map<string, Map<string, FileEntry>>()
  for (const [i, entry] of list.entries()) {
    const path: unknown = entry
    if (typeof path !== 'string') {
      throw refuse('not a list of files', { [`entry ${i}`]: JSON.stringify(path).slice(0, 100) })
    }
    const complaint = complaintAbout(path)
    if (complaint !== undefined) throw refuse(complaint, { [`entry ${i}`]: path })
    const parts = partsOf(relative(path, base))
    if (parts.length === 0) throw refuse('an entry names no file', { [`entry ${i}`]: path })
    parts.forEach((name, depth) => {
      const above = parts.slice(0, depth).join('/')
      const kind = depth < parts.length - 1 ? 'folder' : 'file'
      const folder = folders.get(above) ?? new Map<string, FileEntry>()
      folders.set(above, folder)
      if ((folder.get(name)?.kind ?? kind) !== kind) {
        throw refuse('an entry is a file, and a folder of others', { [`entry ${i}`]: path })
      }
      folder.set(name, { name, kind })
    })
  }
  return folders
}

function parsed(text: string): unknown {
  try {
    requireShallow(text)
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Reason why an entry is refused; `undefined` for a good one. */
function complaintAbout(path: string): string | undefined {
  if (path.includes('\\')) return 'an entry holds a backslash; folders are separated by /'
  if (path.endsWith('/')) return 'an entry is a folder, not a file'
  if (ORIGIN.test(path)) return URL.canParse(path) ? undefined : 'an entry is not an address'
  if (/^[a-z][a-z\d+.-]*:\//i.test(path)) return 'an entry is an address that is neither http nor https'
  if (path.split('/').includes('..')) return 'an entry leads out of the folder of the manifest'
  return undefined
}

/** An entry that begins with / is an address of the same server, with // of another; below the manifest it is a path. */
function relative(path: string, base: URL): string {
  if (!path.startsWith('/') && !ORIGIN.test(path)) return path
  const { href } = new URL(path, base)
  const folder = new URL('.', base).href
  if (!href.startsWith(folder)) return href
  try {
    return decodeURIComponent(href.slice(folder.length))
  } catch {
    // Not the encoding of any path: an address all the same.
    return href
  }
}

/** The files of a folder that the user picked (`showDirectoryPicker`), or of the page's own (`navigator.storage`). */
export function folderFiles(root: FileSystemDirectoryHandle): BlobFiles {
  const folderOf = async (path: string[], create: boolean): Promise<FileSystemDirectoryHandle> => {
    let folder = root
    for (const name of path) folder = await folder.getDirectoryHandle(name, { create })
    return folder
  }
  const fileOf = async (path: string, create: boolean): Promise<FileSystemFileHandle> => {
    const parts = names(path)
    return (await folderOf(parts.slice(0, -1), create)).getFileHandle(parts.at(-1) ?? '', { create })
  }
  const file = (path: string): Promise<File> => named(path, async () => (await fileOf(path, false)).getFile())
  const read = async (path: string): Promise<Uint8Array> => bytesOf(path, await file(path))
  const exists = (path: string): Promise<boolean> =>
    fileOf(path, false)
      .catch(() => folderOf(names(path), false))
      .then(
        () => true,
        () => false,
      )
  // Closing the stream replaces the file, and nothing before does (File System specification). Where there was none, one
  // without content is there from the beginning: it goes again when nothing can be written to it.
  const write = async (path: string, content: FileSystemWriteChunkType): Promise<void> => {
    const isNew = !(await exists(path))
    const handle = await fileOf(path, true)
    try {
      const stream = await handle.createWritable()
      await stream.write(content)
      await stream.close()
    } catch (error) {
      if (isNew) await remove(path).catch(() => undefined)
      throw error
    }
  }
  const remove = async (path: string): Promise<void> => {
    const parts = names(path)
    await (await folderOf(parts.slice(0, -1), false)).removeEntry(parts.at(-1) ?? '')
  }
  return {
    join,
    exists,
    list: (folder) =>
      named(folder, async () => {
        const entries: FileEntry[] = []
        for await (const { name, kind } of (await folderOf(names(folder), false)).values()) {
          entries.push({ name, kind: kind === 'directory' ? 'folder' : 'file' })
        }
        return entries.sort(byName)
      }),
    blob: file,
    glance: async (path, byteCount) => glanceAt(path, await file(path), byteCount),
    requireWritable: (path) =>
      named(path, async () => {
        const parts = names(path)
        const folder = await folderOf(parts.slice(0, -1), true)
        // A name of its own: another tab, or another fit, may try the same file at the same time.
        const probe = crypto.randomUUID()
        const handle = await folder.getFileHandle(probe, { create: true })
        try {
          // Asks for the permission to write, too.
          await (await handle.createWritable()).close()
        } finally {
          await folder.removeEntry(probe)
        }
      }),
    read,
    readText: async (path) => fileText(path, await read(path)),
    write: (path, content) =>
      named(path, () => write(path, typeof content === 'string' ? content : new Uint8Array(content))),
    // A copy, as only some browsers let a page rename, and only what they keep for it.
    move: async (from, to) => {
      const content = await file(from)
      if (await exists(to)) throw alreadyThere(from, to)
      await named(to, () => write(to, content))
      await named(from, () => remove(from)).catch(async (error: unknown) => {
        // It stays where it was, and must not be in two folders.
        await remove(to).catch(() => undefined)
        throw error
      })
    },
  }
}

/**
 * Files that the browser keeps for this page's address (OPFS), from one visit to the next, until the visitor clears them.
 *
 * @param folder  within them. Default: all of them
 */
export function storageFiles(folder = ''): BlobFiles {
  // Opened each time, as the visitor may clear what is kept meanwhile.
  const files = async (): Promise<BlobFiles> => {
    const { storage } = navigator as { readonly storage?: StorageManager }
    if (storage?.getDirectory === undefined) {
      throw new DataError(folder || 'the files of this page', 'this browser keeps no files for a page', {
        fix: 'serve the page by https or from localhost, and update the browser; or openGpu({ save: folderFiles(…) })',
      })
    }
    return named(folder || 'the files of this page', async () => {
      let root = await storage.getDirectory()
      for (const name of names(folder)) root = await root.getDirectoryHandle(name, { create: true })
      return folderFiles(root)
    })
  }
  return {
    join,
    blob: async (path) => (await files()).blob?.(path),
    glance: async (path, byteCount) => (await files()).glance?.(path, byteCount),
    list: async (path) => (await files()).list(path),
    // Where nothing can be kept there is nothing.
    exists: async (path) => (await files().catch(() => undefined))?.exists(path) ?? false,
    read: async (path) => (await files()).read(path),
    readText: async (path) => (await files()).readText(path),
    write: async (path, content) => (await files()).write(path, content),
    requireWritable: async (path) => (await files()).requireWritable?.(path),
    move: async (from, to) => (await files()).move?.(from, to),
  }
}

const REASONS: Readonly<Record<string, string>> = {
  NotFoundError: 'no such file or folder',
  TypeMismatchError: 'a folder where a file is expected, or the reverse',
  NotAllowedError: 'permission denied',
  QuotaExceededError: 'no space left for this page: remove files that it keeps, or make room on the disk',
  NoModificationAllowedError: 'the file is being written, perhaps by another tab of this page',
  SecurityError: 'this browser keeps no files for this page, as in a private window or where cookies are blocked',
}

async function named<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const reason = error instanceof Error ? (REASONS[error.name] ?? error.message) : String(error)
    throw new DataError(path, reason, { cause: error })
  }
}
