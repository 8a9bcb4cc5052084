import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { x as unpackTar } from 'tar'
import { DataError } from '../../base/errors.ts'
import type { Datasets, ExtractOptions } from '../platform.ts'
import { checkFile, download, headersOf, requireRoom, storeError, tellBytes } from './download.ts'
import { isCode } from './error-code.ts'
import { renameOver } from './files.ts'
import { lock } from './lock.ts'
import { makeFolder } from './make-folder.ts'
import { MARK, ownMark, stateOf } from './process-mark.ts'
import { removeLeft } from './remove-left.ts'

/** Kinds of entries that are written; links and devices are not. */
const UNPACKED: ReadonlySet<string> = new Set(['File', 'OldFile', 'Directory'])
const REFETCH = 'delete it, so that the next run fetches it again'

/** Data sets on the disk of this machine. */
export const datasets: Datasets = { check: checkFile, headers: headersOf, download, extract, exclusively, create }

/**
 * Unpacks a .tgz to `folder`: the one folder inside it, or all of it where there are several.
 *
 * @throws DataError  not a .tgz, cut off, corrupted; an entry that would be written elsewhere; no room on the disk
 */
async function extract(archive: string, folder: string, { onBytes, sha256 }: ExtractOptions = {}): Promise<void> {
  const { size } = await stat(archive).catch((error: unknown) => {
    throw storeError(archive, error)
  })
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
        // Permissions only, not as whom a file runs (setuid), and that the owner can read and remove what is unpacked.
        if (!('birthtime' in entry)) entry.mode = ((entry.mode ?? 0) & 0o777) | (kind === 'Directory' ? 0o700 : 0o600)
        return refused === undefined
      },
    })
    // Two empty blocks, which also an archive without the rest of its files would lack.
    let ended = false
    unpack.on('eof', () => {
      ended = true
    })
    const digest = createHash('sha256')
    const packed = createReadStream(archive)
    // Counted beside the pipeline: after a generator within it, Node waits for `finish`, which tar may have emitted by then.
    let done = 0
    packed.on('data', (chunk) => {
      digest.update(chunk)
      try {
        tellBytes(onBytes, (done += chunk.length), size)
      } catch (error) {
        // Thrown here, it would end the program.
        packed.destroy(error as DataError)
      }
    })
    await pipeline(packed, unpack).catch((error: unknown) => {
      throw error instanceof DataError || isCode(error, 'ENOSPC')
        ? storeError(temporary, error)
        : new DataError(archive, 'cannot be unpacked', {
            given: { reason: error instanceof Error ? error.message : String(error) },
            fix: REFETCH,
            cause: error,
          })
    })
    if (refused !== undefined) {
      throw new DataError(archive, `was not unpacked: ${refused}`, {
        fix: 'use another archive; this one is not to be trusted',
      })
    }
    if (!ended) {
      throw new DataError(archive, 'cannot be unpacked', {
        given: { reason: 'it is cut off: its end is missing' },
        fix: REFETCH,
      })
    }
    const found = digest.digest('hex')
    if (sha256 !== undefined && found !== sha256) {
      throw new DataError(archive, 'was not unpacked: this is not the expected archive', {
        given: { 'SHA-256': found },
        expected: sha256,
        fix: REFETCH,
      })
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
  await renameOver(join(folder, only.name), lifted)
  await rm(folder, { recursive: true })
  await renameOver(lifted, folder)
}

async function exclusively<T>(path: string, work: () => Promise<T>, onWait?: (holder: string) => void): Promise<T> {
  const release = await lock(path, { onWait }).catch((error: unknown) => {
    throw storeError(dirname(path), error)
  })
  if (typeof release !== 'function') throw new Error('a lock that is waited for without end was not taken')
  try {
    return await work()
  } finally {
    await release()
  }
}

/** Makes a folder: `fill` writes to a temporary one beside it, which then gets the name, replacing what had it. */
async function create(folder: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${partPrefix(folder)}${ownMark}.part`
  try {
    await removeAbandoned(folder)
    await removeFolder(temporary)
    await makeFolder(temporary)
    await fill(temporary)
    await removeFolder(folder)
    await renameOver(temporary, folder)
  } catch (error) {
    // A folder that cannot be removed now is removed by the next unpacking of this process, or of any once this one is gone.
    await removeFolder(temporary).catch(() => undefined)
    throw storeError(folder, error)
  }
}

/** Removes a folder, again while something is still written to it: tar goes on for a while with what it has read. */
function removeFolder(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true, maxRetries: 10 })
}

function partPrefix(folder: string): string {
  return join(dirname(folder), `.${basename(folder)}.`)
}

const PART = new RegExp(`^(${MARK})\\.part(\\.only)?$`)

/** Removes temporary folders that processes have left which were killed. */
async function removeAbandoned(folder: string): Promise<void> {
  const siblings = await readdir(dirname(folder)).catch(() => [])
  for (const name of siblings) {
    const path = join(dirname(folder), name)
    if (!path.startsWith(partPrefix(folder))) continue
    const mark = PART.exec(path.slice(partPrefix(folder).length))?.[1]
    if (mark !== undefined && stateOf(mark) === 'gone') await removeLeft(path, { recursive: true })
  }
}
