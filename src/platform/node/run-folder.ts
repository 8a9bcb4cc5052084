import { mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DataError, OptionError, WgradError } from '../../base/errors.ts'
import { fileError, nodeFiles } from './files.ts'
import { isCode } from './error-code.ts'
import { lock, type Release } from './lock.ts'
import { makeFolder } from './make-folder.ts'
import { quoted } from './terminal.ts'

/** Time that a run waits for a folder that another run uses, in case that run is just ending. */
const WAIT_MS = 1000

/** Folder of the runs that are given none of their own. */
export const RUNS = 'runs'

/** Name of the file that holds what a run was begun with. */
export const OPTIONS_FILE = 'options.json'

/**
 * Requires the folder of a new run to have none.
 *
 * @param out     folder, as option --out names it
 * @param resume  command that continues the run that is there, before its folder. Default: runs of this kind are not continued
 * @param file    file that every run of this kind has. Default OPTIONS_FILE
 * @throws OptionError  if there is a run, whose results and checkpoints would be lost
 */
export async function requireNoRun(out: string | undefined, resume?: string, file = OPTIONS_FILE): Promise<void> {
  if (out === undefined || !(await nodeFiles.exists(join(out, file)))) return
  throw new OptionError('--out', 'there is a run in this folder already', {
    given: { out },
    fix: `name another folder${resume === undefined ? '' : `, or continue that run: ${resume} ${quoted(out)}`}`,
  })
}

/** Folder of the files of one run, to which no other run writes at the same time. */
export class RunFolder {
  readonly path: string
  private readonly release: Release
  private readonly log: (line: string) => void
  /** Names of files whose latest version could not be written. */
  private readonly missing = new Set<string>()

  private constructor(path: string, release: Release, log: (line: string) => void) {
    this.path = path
    this.release = release
    this.log = log
  }

  /**
   * Creates the folder, or opens an existing one.
   *
   * @param given  path of the folder. Default: a new one, `runs/<time>`
   * @throws DataError  if another run writes to it, or it cannot be written to
   */
  static async open(given: string | undefined, log: (line: string) => void): Promise<RunFolder> {
    const path = given ?? (await newFolder(`${RUNS}/${new Date().toISOString().slice(0, 19).replace(/:/g, '-')}`))
    const taken = await lock(join(path, 'run'), { waitMs: WAIT_MS }).catch((error: unknown) => {
      throw fileError(path, error)
    })
    if (typeof taken === 'function') return new RunFolder(path, taken, log)
    throw new DataError(path, 'another run writes to this folder', {
      given: { run: taken.holder },
      fix: 'wait for its end (for a minute, if it was killed), or give this run another folder (--out)',
    })
  }

  file(name: string): string {
    return join(this.path, name)
  }

  /** Writes a file. @throws DataError  if it cannot be written */
  async write(name: string, content: string): Promise<void> {
    await nodeFiles.write(this.file(name), content, { lasting: true })
  }

  /** Runs work that writes a file; a failure is logged and the run goes on, because its results are worth more. */
  async attempt(name: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
      this.missing.delete(name)
    } catch (error) {
      if (!(error instanceof WgradError)) throw error
      this.missing.add(name)
      this.log(`${name} was not written, and the run goes on: ${error.message}`)
    }
  }

  /** Removes files that are no longer needed; a failure is logged. */
  async remove(names: Iterable<string>): Promise<void> {
    for (const name of names) {
      await rm(this.file(name), { force: true }).catch((error: unknown) => this.log(fileError(name, error).message))
    }
  }

  /** Names of files that should exist but could not be written. */
  get unwritten(): readonly string[] {
    return [...this.missing]
  }

  /** Releases the folder for other runs. */
  async close(): Promise<void> {
    await this.release()
  }
}

/** Creates a folder of a name, with a number appended if it exists. */
async function newFolder(name: string): Promise<string> {
  await makeFolder(dirname(name)).catch((error: unknown) => {
    throw fileError(dirname(name), error)
  })
  for (let number = 1; ; number++) {
    const path = number === 1 ? name : `${name}-${number}`
    try {
      await mkdir(path)
      return path
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw fileError(path, error)
    }
  }
}
