import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { access, copyFile, link, open, readdir, readFile, rename, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DataError } from '../../base/errors.ts'
import { fileText } from '../../base/utf8.ts'
import type { FileEntry, FileGlance, Files, WriteOptions } from '../platform.ts'
import { isCode } from './error-code.ts'
import { makeFolder } from './make-folder.ts'
import { MARK, ownMark, stateOf } from './process-mark.ts'
import { removeLeft } from './remove-left.ts'

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  ENOTDIR: 'not a folder',
  EISDIR: 'a folder, not a file',
  EEXIST: 'a file is where a folder should be',
  EACCES: 'permission denied',
  EBUSY: 'another program has it open',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'the disk quota is used up',
  EMFILE: 'too many open files',
  ELOOP: 'symbolic links in a circle',
  ENAMETOOLONG: 'the name is too long',
}

/** Returns a DataError that names the path and repeats what the system reported. */
export function fileError(path: string, error: unknown): DataError {
  // Node reads a name that is not UTF-8 with this sign in it, and the system has no file of the name as it was read.
  const isMisread = isCode(error, 'ENOENT') && path.includes('\ufffd')
  return new DataError(path, reasonOf(error) + (isMisread ? ': a name that is not UTF-8, rename it' : ''), {
    cause: error,
  })
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const reason = REASONS[code] ?? (error instanceof Error ? error.message : String(error))
  const mayBeOpen = process.platform === 'win32' && ['EPERM', 'EACCES'].includes(code)
  return mayBeOpen ? `${reason}, or another program has it open` : reason
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
  exists: (path) =>
    access(path).then(
      () => true,
      () => false,
    ),
  read: (path) => named(path, async () => new Uint8Array(await readFile(path))),
  readText: async (path) => fileText(path, await named(path, () => readFile(path))),
  identify: (path) => named(path, async () => idOf(path, statSync(path, { bigint: true }))),
  glance: (path, byteCount) =>
    named(path, async () => {
      if (++glanced % GLANCES === 0) await new Promise((resolve) => setImmediate(resolve))
      return glance(path, byteCount)
    }),
  write: (path, content, options) => named(path, () => write(path, content, options)),
  requireWritable: (path) => named(path, () => requireWritable(path)),
  move: async (from, to) => {
    await named(to, () => makeFolder(dirname(to)))
    await move(from, to).catch((error: unknown) => {
      if (error instanceof DataError) throw error
      // Either of the two may be on a disk that is full, or not permitted.
      throw new DataError(from, `cannot be moved to ${to}: ${reasonOf(error)}`, { cause: error })
    })
  },
}

/** Makes the folder, and a file beside the one in question, which is removed again. */
async function requireWritable(path: string): Promise<void> {
  const folder = dirname(path)
  await makeFolder(folder)
  const there = await stat(path).catch(() => undefined)
  if (there?.isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' })
  const temporary = `${path}.${ownMark}-${written++}.tmp`
  const file = await open(temporary, 'w')
  await file.close()
  await rm(temporary, { force: true })
}

/** Identity of a file or folder, which is its path where the file system numbers none. Source: MS-FSCC 2.4.22, IndexNumber. */
function idOf(path: string, { dev, ino }: { readonly dev: bigint; readonly ino: bigint }): string {
  return ino === 0n ? path : `${dev}:${ino}`
}

/** Glances after which what waits for the thread has its turn, such as Ctrl-C: some milliseconds, where a disk is near. */
const GLANCES = 100
let glanced = 0

/** At once, not by turns: of many thousand files each is a matter of microseconds, which waiting would multiply. */
function glance(path: string, byteCount: number): FileGlance {
  // Without waiting for the other end, where it is a pipe. Windows has no such flag.
  const file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    const stats = fstatSync(file, { bigint: true })
    if (stats.isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' })
    if (!stats.isFile()) throw new Error('not a file')
    const start = new Uint8Array(byteCount)
    return { id: idOf(path, stats), sizeBytes: Number(stats.size), start: start.subarray(0, readSync(file, start)) }
  } finally {
    closeSync(file)
  }
}

/** Files and folders, links followed; a broken link is a file, whose reading then says so. Sockets and such are not. */
async function list(folder: string): Promise<FileEntry[]> {
  // Keyed by name: Node may read two names that are not UTF-8 as the same one.
  const entries = new Map<string, FileEntry>()
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const { name } = entry
    const link = entry.isSymbolicLink()
    const target = link ? await stat(join(folder, name)).catch(() => undefined) : entry
    if (target?.isDirectory() === true) entries.set(name, { name, kind: 'folder', ...(link && { link }) })
    else if (target === undefined || target.isFile()) entries.set(name, { name, kind: 'file' })
  }
  // By code units: the same order on every machine, whatever its language.
  return [...entries.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
}

let written = 0
/** Folders in which this process has looked for what others have left. */
const tidied = new Set<string>()
const LEFT = new RegExp(`\\.(${MARK})-\\d+\\.tmp$`)
/** Age after which a file of another machine is no longer being written. */
const ABANDONED_MS = 24 * 60 * 60 * 1000

async function write(
  path: string,
  content: Uint8Array | string,
  { lasting = false }: WriteOptions = {},
): Promise<void> {
  const folder = dirname(path)
  await makeFolder(folder)
  await tidy(folder)
  // In the same folder, as a rename is at once only within one file system.
  const temporary = `${path}.${ownMark}-${written++}.tmp`
  try {
    const file = await open(temporary, 'w')
    try {
      await file.writeFile(content)
      if (lasting) await file.sync()
    } finally {
      await file.close()
    }
    await renameOver(temporary, path)
    if (lasting) await syncFolder(folder)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/** Codes with which Windows refuses to rename what another program has open, such as a virus scanner. */
const OPEN_ELSEWHERE = ['EPERM', 'EACCES', 'EBUSY']
/** Pauses in milliseconds before a rename is tried again: 1.2 s in all, as scanners take some tenths. */
const RENAME_PAUSES_MS = [10, 50, 150, 300, 700]

/**
 * Renames a file over another, or a folder, on Windows again and again while another program has it, the other or a file in
 * the folder open. Elsewhere open files do not matter, and the same codes are final.
 */
export async function renameOver(
  from: string,
  to: string,
  system: string = process.platform,
  once: (from: string, to: string) => Promise<void> = rename,
): Promise<void> {
  for (const pauseMs of system === 'win32' ? RENAME_PAUSES_MS : []) {
    try {
      return await once(from, to)
    } catch (error) {
      if (!OPEN_ELSEWHERE.some((code) => isCode(error, code))) throw error
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  }
  return once(from, to)
}

/** Codes of systems that have no second names for files, or none in another file system. */
const NO_LINK: ReadonlySet<string> = new Set([
  ...['EPERM', 'EXDEV', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'],
  // Windows, of exFAT and FAT32, as cards of cameras have. Source: libuv, src/win/error.c, ERROR_INVALID_FUNCTION.
  'EISDIR',
])

/**
 * Moves a file without overwriting another: a second name for it is refused by the system where there is a file, which a
 * rename would replace. Where that is not possible it is copied to a temporary name, and renamed if the name is free.
 */
async function move(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') throw alreadyThere(from, to)
    if (!NO_LINK.has(code)) throw error
    await copyTo(from, to)
  }
  await unlink(from).catch(async (error: unknown) => {
    if (isCode(error, 'ENOENT')) return
    // It stays where it was, and must not be in two folders.
    await rm(to, { force: true })
    throw error
  })
}

function alreadyThere(from: string, to: string): DataError {
  return new DataError(from, `cannot be moved to ${to}, as there is a file of that name already`)
}

async function copyTo(from: string, to: string): Promise<void> {
  const temporary = `${to}.${ownMark}-${written++}.tmp`
  try {
    await copyFile(from, temporary, constants.COPYFILE_EXCL)
    if (await nodeFiles.exists(to)) throw alreadyThere(from, to)
    await renameOver(temporary, to)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/** Makes the names in a folder last. Windows has no such thing, nor have some network file systems. */
export async function syncFolder(folder: string): Promise<void> {
  const opened = await open(folder, 'r').catch(() => undefined)
  await opened?.sync().catch(() => {})
  await opened?.close()
}

/** Removes temporary files of processes that were killed while they wrote; once for each folder. */
async function tidy(folder: string): Promise<void> {
  if (tidied.has(folder)) return
  tidied.add(folder)
  // Not every folder that can be written to can be listed.
  for (const name of await readdir(folder).catch(() => [])) {
    const mark = LEFT.exec(name)?.[1]
    if (mark === undefined) continue
    const state = stateOf(mark)
    const file = join(folder, name)
    const age =
      state === 'unknown'
        ? Date.now() -
          (await stat(file).then(
            ({ mtimeMs }) => mtimeMs,
            () => Date.now(),
          ))
        : 0
    if (state === 'gone' || age > ABANDONED_MS) await removeLeft(file)
  }
}
