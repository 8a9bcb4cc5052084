import { createReadStream } from 'node:fs'
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { x as unpackTar } from 'tar'
import { DataError } from '../../base/errors.ts'
import type { Datasets, OnBytes } from '../platform.ts'
import { checkFile, download, storeError, isCode, requireRoom } from './download.ts'

/** Kinds of entries that are written; links and devices are not. */
const UNPACKED: ReadonlySet<string> = new Set(['File', 'OldFile', 'Directory'])
const REFETCH = 'delete it, so that the next run fetches it again'

/** Data sets on the disk of this machine. */
export const datasets: Datasets = { check: checkFile, download, extract, create }

/**
 * Unpacks a .tgz to `folder`: the one folder inside it, or all of it where there are several.
 *
 * @throws DataError  not a .tgz, cut off, corrupted; an entry that would be written elsewhere; no room on the disk
 */
async function extract(archive: string, folder: string, onBytes?: OnBytes): Promise<void> {
  const { size } = await stat(archive).catch((error: unknown) => { throw storeError(archive, error) })
  await create(folder, async (temporary) => {
    // Images hardly shrink in an archive, so they take about its size again.
    await requireRoom(temporary, size)
    let refused: string | undefined
    const unpack = unpackTar({
      cwd: temporary,
      strict: true,
      preserveOwner: false,
      filter: (path, entry) => {
        const kind = 'type' in entry ? entry.type : 'File'
        if (!isInside(path)) refused ??= `${path} lies outside the archive's folder`
        else if (!UNPACKED.has(kind)) refused ??= `${path} is a ${kind}, neither file nor folder`
        return refused === undefined
      },
    })
    const packed = createReadStream(archive)
    // Counted beside the pipeline: after a generator within it, Node waits for `finish`, which tar may have emitted by then.
    let done = 0
    packed.on('data', (chunk) => onBytes?.(done += chunk.length, size))
    await pipeline(packed, unpack).catch((error: unknown) => {
      throw isCode(error, 'ENOSPC') ? storeError(temporary, error) : new DataError(archive, 'cannot be unpacked', {
        given: { reason: error instanceof Error ? error.message : String(error) },
        fix: REFETCH, cause: error,
      })
    })
    if (refused !== undefined) {
      throw new DataError(archive, `was not unpacked: ${refused}`, { fix: 'use another archive; this one is not to be trusted' })
    }
    await liftOnlyFolder(temporary, archive)
  })
}

/** A relative path that never leaves where it starts. */
function isInside(path: string): boolean {
  const parts = path.split(/[/\\]/)
  return !parts.includes('..') && parts[0] !== '' && !/^[A-Za-z]:/.test(path)
}

/** `folder/imagenette2/train` becomes `folder/train`, where `imagenette2` is all there is. */
async function liftOnlyFolder(folder: string, archive: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true })
  if (entries.length === 0) throw new DataError(archive, 'is empty', { fix: REFETCH })
  const [only] = entries
  if (entries.length > 1 || !only?.isDirectory()) return
  const lifted = `${folder}.only`
  await rename(join(folder, only.name), lifted)
  await rm(folder, { recursive: true })
  await rename(lifted, folder)
}

/** Makes a folder: `fill` writes to a temporary one beside it, which then gets the name, replacing what had it. */
async function create(folder: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = join(dirname(folder), `.${basename(folder)}.${process.pid}.part`)
  try {
    await removeAbandoned(folder)
    await mkdir(temporary, { recursive: true })
    await fill(temporary)
    await rm(folder, { recursive: true, force: true })
    await rename(temporary, folder)
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    throw storeError(folder, error)
  }
}

/** Removes temporary folders that processes have left which were killed. */
async function removeAbandoned(folder: string): Promise<void> {
  const siblings = await readdir(dirname(folder)).catch(() => [])
  for (const name of siblings) {
    if (!name.startsWith(`.${basename(folder)}.`)) continue
    const owner = /^\.(\d+)\.part(\.only)?$/.exec(name.slice(1 + basename(folder).length))?.[1]
    if (owner === undefined || isAlive(Number(owner))) continue
    await rm(join(dirname(folder), name), { recursive: true, force: true })
  }
}

/** Whether another process of this number is running. */
function isAlive(id: number): boolean {
  if (id === process.pid) return false
  try {
    return process.kill(id, 0)
  } catch (error) {
    return isCode(error, 'EPERM')
  }
}
