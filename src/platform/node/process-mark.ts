import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { isCode } from './error-code.ts'

/** Where numbers of processes mean the same: a machine, or a container on it. */
const host = createHash('sha256')
  .update(hostname() + pidNamespace())
  .digest('hex')
  .slice(0, 8)

/**
 * This process in the name of a file: `<host>-<process>-<start>`. The start tells it from another that later has the
 * same number.
 */
export const ownMark = markOf(process.pid)

/** Pattern of a mark, for regular expressions. */
export const MARK = '[0-9a-f]{8}-\\d+-\\d+'

/** Mark of a process of this machine; its start is 0 where that is not known. */
export function markOf(pid: number): string {
  return `${host}-${pid}-${startOf(pid) ?? 0}`
}

/**
 * State of the process that a mark names. It is `unknown` for those of other machines, and where one has its number of which
 * it is not known when it started, as on Windows and macOS: numbers are given again, there soon.
 */
export function stateOf(mark: string): 'running' | 'gone' | 'unknown' {
  const [, pid, start] = mark.split('-')
  if (!isHere(mark)) return 'unknown'
  if (mark === ownMark) return 'running'
  const now = Number(start) === 0 ? undefined : startOf(Number(pid))
  if (now === undefined) return isRunning(Number(pid)) && Number(pid) !== process.pid ? 'unknown' : 'gone'
  return now === Number(start) ? 'running' : 'gone'
}

/** True if the process that a mark names is one of this machine. */
export function isHere(mark: string): boolean {
  return mark.split('-')[0] === host
}

/** Number of the process that a mark names. */
export function pidOf(mark: string): number {
  return Number(mark.split('-')[1])
}

/** Clock ticks from the start of the machine to that of a process, on Linux. Source: proc_pid_stat(5), field 22. */
function startOf(pid: number): number | undefined {
  try {
    // The name in parentheses, field 2, may itself hold spaces and parentheses.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\)/s, '').trim().split(' ')
    return Number(fields[22 - 3])
  } catch {
    return undefined
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return isCode(error, 'EPERM')
  }
}

/** Containers may have the name of their host, and count processes by themselves. */
function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return ''
  }
}
