import { readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { isCode } from './error-code.ts'
import { makeFolder } from './make-folder.ts'
import { isHere, MARK, ownMark, pidOf, stateOf } from './process-mark.ts'
import { removeLeft } from './remove-left.ts'

/** How often a held lock is touched, and for how long one counts without that, of a process that may be gone. */
const TOUCH_MS = 10_000
const FORGOTTEN_MS = 60_000
/** Pause between two looks at a lock that another process holds, up to twice as long at random. */
const LOOK_MS = 100

/** Gives a lock back. */
export type Release = () => Promise<void>

/**
 * Takes the lock of a path, which is there for one process at a time, or returns the process that has it.
 *
 * Every process claims it with a file of its own beside the path, `.<name>.<mark>.lock`, and has it when there is no
 * other claim; of two that see each other's both step back and try again. A claim is only ever removed by its own
 * process or because that is gone, so a crash leaves nothing that is in the way.
 *
 * @param waitMs  how long to try. Default: until it is free
 * @param onWait  called once, with the process that has it, when it is not free
 * @throws what the system says  when the folder cannot be written to
 */
export async function lock(
  path: string,
  { waitMs = Infinity, onWait }: { waitMs?: number; onWait?: ((holder: string) => void) | undefined } = {},
): Promise<Release | { readonly holder: string }> {
  const folder = dirname(path)
  const claim = join(folder, `.${basename(path)}.${ownMark}.lock`)
  const end = performance.now() + waitMs
  await makeFolder(folder)
  for (let told = false; ;) {
    let holder = await otherHolder(path)
    if (holder === undefined && (await writeClaim(claim))) {
      holder = await otherHolder(path)
      if (holder === undefined) return held(claim)
      await rm(claim, { force: true })
    }
    holder ??= 'this process'
    if (performance.now() >= end) return { holder }
    if (!told) onWait?.(holder)
    told = true
    await pause(LOOK_MS * (1 + Math.random()))
  }
}

/** @returns false where this process has the lock already */
async function writeClaim(claim: string): Promise<boolean> {
  try {
    await writeFile(claim, '', { flag: 'wx' })
    return true
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false
    throw error
  }
}

/** Another process that claims the lock, in words. Claims of processes that are gone are removed. */
async function otherHolder(path: string): Promise<string | undefined> {
  const folder = dirname(path)
  const prefix = `.${basename(path)}.`
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix)) continue
    const mark = CLAIM.exec(name.slice(prefix.length))?.[1]
    if (mark === undefined || mark === ownMark) continue
    const state = stateOf(mark)
    const file = join(folder, name)
    if (state === 'running' || (state === 'unknown' && Date.now() - (await touchedAt(file)) < FORGOTTEN_MS)) {
      return `process ${pidOf(mark)}${isHere(mark) ? '' : ' of another machine'}`
    }
    await removeLeft(file)
  }
  return undefined
}

const CLAIM = new RegExp(`^(${MARK})\\.lock$`)

async function touchedAt(file: string): Promise<number> {
  return stat(file).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  )
}

function held(claim: string): Release {
  const timer = setInterval(() => {
    // Not touched it may be forgotten, but only where others do not see whether this process runs.
    utimes(claim, new Date(), new Date()).catch(() => {})
  }, TOUCH_MS)
  timer.unref()
  return async () => {
    clearInterval(timer)
    await rm(claim, { force: true })
  }
}
