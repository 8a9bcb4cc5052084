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

/** Files in memory or on the visitor's disk, by their paths. Read only. */
export function blobFiles(blobs: ReadonlyMap<string, Packed>): BlobFiles {
  const folders = new Map<string, Map<string, FileEntry>>([['', new Map()]])
  for (const path of blobs.keys()) {
    const parts = path.split('/')
    parts.forEach((name, depth) => {
      const above = parts.slice(0, depth).join('/')
      const folder = folders.get(above) ?? new Map<string, FileEntry>()
      folders.set(above, folder)
      folder.set(name, { name, kind: depth < parts.length - 1 ? 'folder' : 'file' })
    })
  }
  const place = (path: string): string => names(path).join('/')
  const blob = async (path: string): Promise<Blob> => {
    const file = blobs.get(place(path))
    if (!file) throw new DataError(path, 'no such file or folder')
    return file instanceof Blob ? file : file()
  }
  const read = async (path: string): Promise<Uint8Array> => bytesOf(path, await blob(path))
  return {
    join,
    blob,
    read,
    list: async (folder) => {
      const entries = folders.get(place(folder))
      if (!entries) throw new DataError(folder, 'no such file or folder')
      return [...entries.values()].sort(byName)
    },
    exists: (path) => Promise.resolve(blobs.has(place(path)) || folders.has(place(path))),
    readText: async (path) => fileText(path, await read(path)),
    glance: async (path, byteCount) => {
      const file = blobs.get(place(path))
      return file instanceof Blob ? glanceAt(path, file, byteCount) : undefined
    },
    ...readOnly('files that a visitor gave to the page cannot be written'),
  }
}

/**
 * Files that are written to memory, for `openGpu({ save })` where nothing is to be kept: checkpoints, tables and charts are
 * read from there by their paths.
 */
export function memoryFiles(): BlobFiles {
  const blobs = new Map<string, Blob>()
  const now = (): BlobFiles => blobFiles(blobs)
  return {
    join,
    blob: (path) => now().blob?.(path) ?? Promise.resolve(undefined),
    list: (folder) => now().list(folder),
    exists: (path) => now().exists(path),
    read: (path) => now().read(path),
    readText: (path) => now().readText(path),
    write: async (path, content) => {
      const place = names(path).join('/')
      if (place === '') throw new DataError(path, 'no name for a file')
      blobs.set(place, new Blob([typeof content === 'string' ? content : new Uint8Array(content)]))
    },
    requireWritable: () => Promise.resolve(),
  }
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
