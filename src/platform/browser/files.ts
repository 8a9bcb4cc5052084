import { DataError } from '../../base/errors.ts'
import type { FileEntry, Files } from '../platform.ts'

const join = (...parts: string[]): string => parts.filter((part) => part !== '').join('/').replace(/\/+/g, '/')
const names = (path: string): string[] => path.split('/').filter((name) => name !== '' && name !== '.')
const byName = (a: FileEntry, b: FileEntry): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)

/**
 * The files below a URL, read only. A server does not list folders, so `manifest.json` beside them does: an array of
 * their paths, `["train/n01440764/1.JPEG", …]`.
 *
 * @param base  of a folder, ending in /, or of a page that lies beside the files
 */
export function urlFiles(base: string | URL): Files {
  const fetched = async (path: string): Promise<Response> => {
    const url = new URL(names(path).map(encodeURIComponent).join('/'), base)
    const response = await fetch(url).catch((cause: unknown) => {
      throw new DataError(path, 'the server cannot be reached', { given: { url: url.href }, cause })
    })
    if (response.ok) return response
    throw new DataError(path, `the server answered ${response.status} ${response.statusText}`, { given: { url: url.href } })
  }
  let manifest: Promise<string[]> | undefined
  const paths = (): Promise<string[]> => (manifest ??= fetched('manifest.json').then(readManifest))
  const read = async (path: string): Promise<Uint8Array> => new Uint8Array(await (await fetched(path)).arrayBuffer())
  return {
    join,
    read,
    list: async (folder) => listPaths(await paths(), folder),
    exists: async (path) => {
      const wanted = names(path).join('/')
      return (await paths()).some((known) => known === wanted || known.startsWith(`${wanted}/`))
    },
    readText: async (path) => (await fetched(path)).text(),
    write: (path) => Promise.reject(new DataError(path, 'files of a server cannot be written', {
      fix: 'give the platform a folder, for instance of navigator.storage.getDirectory().',
    })),
  }
}

async function readManifest(response: Response): Promise<string[]> {
  const list: unknown = await response.json().catch(() => undefined)
  if (Array.isArray(list) && list.every((path) => typeof path === 'string')) return list
  throw new DataError('manifest.json', 'not a list of files', { expected: 'a JSON array of paths' })
}

function listPaths(paths: readonly string[], folder: string): FileEntry[] {
  const prefix = names(folder).map((name) => `${name}/`).join('')
  const entries = new Map<string, FileEntry>()
  for (const path of paths) {
    if (!path.startsWith(prefix)) continue
    const [name, ...below] = path.slice(prefix.length).split('/')
    entries.set(name, { name, kind: below.length > 0 ? 'folder' : 'file' })
  }
  if (entries.size === 0) throw new DataError(folder, 'no such folder in manifest.json')
  return [...entries.values()].sort(byName)
}

/** The files of a folder that the user picked (`showDirectoryPicker`), or of the page's own (`navigator.storage`). */
export function folderFiles(root: FileSystemDirectoryHandle): Files {
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
  return {
    join,
    list: (folder) => named(folder, async () => {
      const entries: FileEntry[] = []
      for await (const { name, kind } of (await folderOf(names(folder), false)).values()) {
        entries.push({ name, kind: kind === 'directory' ? 'folder' : 'file' })
      }
      return entries.sort(byName)
    }),
    exists: (path) => fileOf(path, false).catch(() => folderOf(names(path), false)).then(() => true, () => false),
    read: async (path) => new Uint8Array(await (await file(path)).arrayBuffer()),
    readText: async (path) => (await file(path)).text(),
    write: (path, content) => named(path, async () => {
      // What is written takes the file's place when it is closed, not before (File System specification).
      const stream = await (await fileOf(path, true)).createWritable()
      await stream.write(typeof content === 'string' ? content : new Uint8Array(content))
      await stream.close()
    }),
  }
}

const REASONS: Readonly<Record<string, string>> = {
  NotFoundError: 'no such file or folder',
  TypeMismatchError: 'a folder where a file is expected, or the reverse',
  NotAllowedError: 'permission denied',
  QuotaExceededError: 'no space left for this page',
}

async function named<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const reason = error instanceof Error ? REASONS[error.name] ?? error.message : String(error)
    throw new DataError(path, reason, { cause: error })
  }
}
