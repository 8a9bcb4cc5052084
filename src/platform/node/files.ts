import { access, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DataError } from '../../base/errors.ts'
import type { FileEntry, Files } from '../platform.ts'

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  ENOTDIR: 'not a folder',
  EISDIR: 'a folder, not a file',
  EEXIST: 'a file is where a folder should be',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'the disk quota is used up',
  EMFILE: 'too many open files',
  ELOOP: 'symbolic links in a circle',
  ENAMETOOLONG: 'the name is too long',
}

/** What the system said about a path, as a DataError that names it. */
export function fileError(path: string, error: unknown): DataError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return new DataError(path, REASONS[code] ?? (error instanceof Error ? error.message : String(error)), { cause: error })
}

async function named<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw fileError(path, error)
  }
}

/** The file system of Node. */
export const nodeFiles: Files = {
  join,
  list: (folder) => named(folder, () => list(folder)),
  exists: (path) => access(path).then(() => true, () => false),
  read: (path) => named(path, async () => new Uint8Array(await readFile(path))),
  readText: (path) => named(path, () => readFile(path, 'utf8')),
  write: (path, content) => named(path, () => write(path, content)),
}

/** Files and folders, links followed; a broken link is a file, whose reading then says so. Sockets and such are not. */
async function list(folder: string): Promise<FileEntry[]> {
  const entries = await Promise.all((await readdir(folder, { withFileTypes: true })).map(async (entry) => {
    const { name } = entry
    const target = entry.isSymbolicLink() ? await stat(join(folder, name)).catch(() => undefined) : entry
    if (target?.isDirectory() === true) return [{ name, kind: 'folder' } as const]
    return target === undefined || target.isFile() ? [{ name, kind: 'file' } as const] : []
  }))
  // By code units: the same order on every machine, whatever its language.
  return entries.flat().sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
}

let written = 0

async function write(path: string, content: Uint8Array | string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  // In the same folder, as a rename is at once only within one file system.
  const temporary = `${path}.${process.pid}-${written++}.tmp`
  try {
    await writeFile(temporary, content)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
