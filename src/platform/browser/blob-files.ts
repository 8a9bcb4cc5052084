import { DataError } from '../../base/errors.ts'
import { fileText } from '../../base/utf8.ts'
import type { FileEntry, FileGlance, Files } from '../platform.ts'
import { byName, join, names } from './paths.ts'

/** Files that are blobs, which are read where and when their bytes are needed: a decoding thread reads its own. */
export interface BlobFiles extends Files {
  /** The file as it lies on disk; `undefined` where there are only bytes to read. */
  blob?(path: string): Promise<Blob | undefined>
}

/** A file, or a function that unpacks it. */
export type Packed = Blob | (() => Promise<Blob>)

/**
 * Files in memory or on the visitor's disk, by their paths. Read only, except that a file may get another path here, which
 * changes nothing on the disk.
 */
export function blobFiles(given: ReadonlyMap<string, Packed>): BlobFiles {
  const { put: _put, ...files } = heldFiles(new Map(given))
  return { ...files, ...readOnly('files that a visitor gave to the page cannot be written') }
}

/**
 * Files that are written to memory, for `openGpu({ save })` where nothing is to be kept: checkpoints, tables and charts are
 * read from there by their paths.
 */
export function memoryFiles(): BlobFiles {
  const { put, ...files } = heldFiles(new Map())
  return {
    ...files,
    write: async (path, content) => {
      const place = placeOf(path)
      if (place === '') throw new DataError(path, 'no name for a file')
      put(place, new Blob([typeof content === 'string' ? content : new Uint8Array(content)]))
    },
    requireWritable: () => Promise.resolve(),
  }
}

type HeldFiles = Omit<BlobFiles, 'write' | 'requireWritable'> & { put(place: string, file: Packed): void }

const placeOf = (path: string): string => names(path).join('/')

/** Files in a map, which changes as they are put into it and moved. */
function heldFiles(blobs: Map<string, Packed>): HeldFiles {
  let known: Folders | undefined
  const folders = (): Folders => (known ??= foldersOf(blobs.keys()))
  const fileAt = (path: string): Packed => {
    const file = blobs.get(placeOf(path))
    if (!file) throw new DataError(path, 'no such file or folder')
    return file
  }
  const blob = async (path: string): Promise<Blob> => {
    const file = fileAt(path)
    return file instanceof Blob ? file : file()
  }
  const read = async (path: string): Promise<Uint8Array> => bytesOf(path, await blob(path))
  const has = (path: string): boolean => blobs.has(placeOf(path)) || folders().has(placeOf(path))
  const put = (place: string, file: Packed): void => {
    blobs.set(place, file)
    known = undefined
  }
  return {
    join,
    blob,
    read,
    put,
    list: async (folder) => {
      const entries = folders().get(placeOf(folder))
      if (!entries) throw new DataError(folder, 'no such file or folder')
      return [...entries.values()].sort(byName)
    },
    exists: (path) => Promise.resolve(has(path)),
    readText: async (path) => fileText(path, await read(path)),
    glance: async (path, byteCount) => {
      const file = blobs.get(placeOf(path))
      return file instanceof Blob ? glanceAt(path, file, byteCount) : undefined
    },
    move: async (from, to) => {
      const file = fileAt(from)
      if (has(to)) throw alreadyThere(from, to)
      blobs.delete(placeOf(from))
      put(placeOf(to), file)
    },
  }
}

type Folders = ReadonlyMap<string, ReadonlyMap<string, FileEntry>>

/** Entries of each folder, by name. */
function foldersOf(paths: Iterable<string>): Folders {
  const folders = new Map<string, Map<string, FileEntry>>([['', new Map()]])
  for (const path of paths) {
    const parts = path.split('/')
    parts.forEach((name, depth) => {
      const above = parts.slice(0, depth).join('/')
      const folder = folders.get(above) ?? new Map<string, FileEntry>()
      folders.set(above, folder)
      folder.set(name, { name, kind: depth < parts.length - 1 ? 'folder' : 'file' })
    })
  }
  return folders
}

/** Refusal to overwrite a file by moving another. */
export function alreadyThere(from: string, to: string): DataError {
  return new DataError(from, `cannot be moved to ${to}, as there is a file of that name already`)
}

/** The first bytes of a file, and its size. */
export async function glanceAt(path: string, file: Blob, byteCount: number): Promise<FileGlance> {
  return { id: path, sizeBytes: file.size, start: await bytesOf(path, file.slice(0, byteCount)) }
}

/** Refusals to write. @param why  the reason */
export function readOnly(why: string): Required<Pick<Files, 'write' | 'requireWritable'>> {
  const refuse = (path: string): Promise<never> =>
    Promise.reject(
      new DataError(path, why, {
        fix: 'say where to write: openGpu({ save: storageFiles() }), which the browser keeps for this page, or folderFiles(…) of a folder that was picked',
      }),
    )
  return { write: refuse, requireWritable: refuse }
}

/** @throws DataError  that names the file, when it has changed or gone since the visitor gave it to the page */
export async function bytesOf(path: string, blob: Blob): Promise<Uint8Array> {
  try {
    return new Uint8Array(await blob.arrayBuffer())
  } catch (cause) {
    throw new DataError(path, 'the file cannot be read', {
      given: { reason: cause instanceof Error ? cause.message : String(cause) },
      fix: 'it may have been changed or moved since it was chosen: choose it again',
      cause,
    })
  }
}
