import { DataError, OptionError } from '../../base/errors.ts'
import type { FileEntry, FileGlance, Files } from '../platform.ts'
import { blobFiles, type BlobFiles, type Packed } from './blob-files.ts'
import { collectFiles, type PageSource } from './collect.ts'
import { byName, join, names } from './paths.ts'
import { zipEntries } from './zip.ts'

/**
 * Files of a page, from several places: below a name of their own those that a visitor gave, at the top those that were
 * written and those of the server. Writing goes to one place.
 */
export class PageFiles implements BlobFiles {
  private readonly base: BlobFiles
  private readonly save: BlobFiles | undefined
  private readonly mounts = new Map<string, BlobFiles>()
  private count = 0

  /**
   * @param base  where files are read
   * @param save  where files are written, and read first. Default: `base`
   */
  constructor(base: Files, save?: Files) {
    this.base = base
    this.save = save
  }

  /**
   * Adds files under a name.
   *
   * @param name  default files-1, files-2, …
   * @returns  the name, the path of their folder
   * @throws OptionError  for a name that is taken or holds a /
   */
  mount(files: BlobFiles, name = `files-${++this.count}`): string {
    if (name === '' || name.includes('/')) {
      throw new OptionError('addFiles', 'this name cannot be that of a folder', { given: { name } })
    }
    if (this.mounts.has(name)) {
      throw new OptionError('addFiles', 'there are files of this name already', {
        given: { name, names: [...this.mounts.keys()].join(', ') },
        fix: 'give another name, or removeFiles(name) first',
      })
    }
    this.mounts.set(name, files)
    return name
  }

  /** Forgets files that were added. @returns  false where there are none of this name */
  unmount(name: string): boolean {
    return this.mounts.delete(name)
  }

  readonly join = join

  async list(folder: string): Promise<FileEntry[]> {
    const [files, inside] = this.placeOf(folder)
    if (files) return files.list(inside)
    const places = [this.save, this.base].filter((place) => place !== undefined)
    const listed = await Promise.allSettled(places.map((place) => place.list(folder)))
    const entries = listed.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
    const mounted = names(folder).length === 0 ? [...this.mounts.keys()].filter((name) => !name.startsWith('.')) : []
    const failed = listed.findLast((one) => one.status === 'rejected')
    if (entries.length + mounted.length === 0 && failed) throw failed.reason
    const folders = mounted.map((name) => ({ name, kind: 'folder' }) as const)
    return [...new Map([...entries, ...folders].map((entry) => [entry.name, entry])).values()].sort(byName)
  }

  async exists(path: string): Promise<boolean> {
    const [files, inside] = this.placeOf(path)
    if (files) return files.exists(inside)
    if (await this.save?.exists(path)) return true
    return this.base.exists(path)
  }

  async blob(path: string): Promise<Blob | undefined> {
    const [files, inside] = await this.holderOf(path)
    return files.blob?.(inside)
  }

  async read(path: string): Promise<Uint8Array> {
    const [files, inside] = await this.holderOf(path)
    return files.read(inside)
  }

  async readText(path: string): Promise<string> {
    const [files, inside] = await this.holderOf(path)
    return files.readText(inside)
  }

  write(path: string, content: Uint8Array | string): Promise<void> {
    const [files, inside] = this.placeOf(path)
    return files ? files.write(inside, content) : (this.save ?? this.base).write(path, content)
  }

  /** Files on the visitor's disk are looked at; a server would send all of a file. */
  async glance(path: string, byteCount: number): Promise<FileGlance | undefined> {
    const [files, inside] = await this.holderOf(path)
    const glance = await files.glance?.(inside, byteCount)
    return glance && { ...glance, id: path }
  }

  /** @throws DataError  where nothing can be written, with what to do */
  async requireWritable(path: string): Promise<void> {
    const [files] = this.placeOf(path)
    const target = files ?? this.save ?? this.base
    await target.requireWritable?.(path)
  }

  /** @throws DataError  where files cannot be moved, or not from one place to the other */
  async move(from: string, to: string): Promise<void> {
    const [files, inside] = await this.holderOf(from)
    const [other, target] = this.placeOf(to)
    if (!files.move) {
      throw new DataError(from, 'a page cannot move this file', {
        fix: 'move files that a visitor gave (addFiles) or that the page keeps (storageFiles, folderFiles)',
      })
    }
    if (this.placeOf(from)[0] !== other) {
      throw new DataError(from, `cannot be moved to ${to}, which is another place`, {
        fix: 'move it below the name that its files were added under',
      })
    }
    await files.move(inside, other ? target : to)
  }

  /** Added files that a path leads to, and the path among them. */
  private placeOf(path: string): readonly [files: BlobFiles | undefined, inside: string] {
    const [first = '', ...rest] = names(path)
    return [this.mounts.get(first), rest.join('/')]
  }

  private async holderOf(path: string): Promise<readonly [files: BlobFiles, inside: string]> {
    const [files, inside] = this.placeOf(path)
    if (files) return [files, inside]
    return [this.save && (await this.save.exists(path)) ? this.save : this.base, path]
  }
}

/** Files of a source by path; a zip archive is a folder of what it holds, or, where it is alone, that folder itself. */
export async function filesFrom(source: PageSource): Promise<BlobFiles> {
  const collected = await collectFiles(source)
  const all = new Map<string, Packed>()
  for (const [path, blob] of collected) {
    if (!(await isZip(blob))) {
      all.set(path, blob)
      continue
    }
    const folder = collected.size === 1 ? '' : `${path.replace(/\.zip$/i, '')}/`
    for (const [inside, read] of await zipEntries(path, blob)) all.set(folder + inside, read)
  }
  requireTree(all)
  return blobFiles(all)
}

/** The first bytes of an archive with at least one file. Source: PKWARE APPNOTE.TXT, section 4.3.7. */
async function isZip(blob: Blob): Promise<boolean> {
  const start = new Uint8Array(await blob.slice(0, 4).arrayBuffer())
  return start.length === 4 && [0x50, 0x4b, 3, 4].every((byte, i) => start[i] === byte)
}

/** @throws DataError  where a path is a file and a folder of others */
function requireTree(files: ReadonlyMap<string, unknown>): void {
  for (const path of files.keys()) {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      const above = path.slice(0, at)
      if (files.has(above)) throw new DataError(above, 'is a file, and a folder of others')
    }
  }
}
