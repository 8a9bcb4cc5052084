import { readFileSync } from 'node:fs'
import { parseArgs, type ParseArgsConfig } from 'node:util'
import { OptionError, WgradError } from '../base/errors.ts'

/** What `npm run COMMAND -- …` was given. @throws OptionError for an option that it does not know */
export function parseCommand<const Options extends NonNullable<ParseArgsConfig['options']>>(
  command: string,
  argv: readonly string[],
  options: Options,
  { positionals: allowPositionals = false } = {},
): ReturnType<typeof parseArgs<{ args: string[]; options: Options; allowPositionals: boolean }>> {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals })
  } catch (cause) {
    const fix = `\`npm run ${command} -- --help\` lists the options`
    throw new OptionError(command, (cause as Error).message.split('\n')[0], { fix, cause })
  }
}

/** Runs a command to its end. The library's errors say it all in their message; anything else is a bug and wants its stack. */
export async function runCommand(main: (argv: readonly string[]) => Promise<void>): Promise<void> {
  outliveTerminal()
  endWithNpm()
  await main(process.argv.slice(2)).catch((error: unknown) => {
    console.error(error instanceof WgradError ? `${error.name}: ${error.message}` : error)
    process.exitCode = 1
  })
}

/** A closed terminal, which cannot be written to any more, does not keep a run from ending in order. */
function outliveTerminal(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EIO') throw error
    })
  }
}

/** How often a command looks whether npm is still there. */
const LOOK_MS = 500

/** Names of the shells that npm starts commands in. */
const SHELLS = /^(sh|ash|bash|busybox|dash|ksh|zsh)$/

/**
 * Ends a command as its closed terminal would when the npm that started it is gone: npm passes on SIGINT and SIGTERM, but
 * not SIGHUP, and the shell between the two passes on nothing.
 */
function endWithNpm(): void {
  if (process.env.npm_lifecycle_event === undefined) return
  const inShell = SHELLS.test(procText(process.ppid, 'comm').trim())
  // The shell's parent is npm; the parent of npm itself may end before it.
  const parents = () => [process.ppid, inShell ? parentOf(process.ppid) : ''].join()
  const before = parents()
  const timer = setInterval(() => {
    if (parents() === before) return
    clearInterval(timer)
    process.kill(process.pid, 'SIGHUP')
  }, LOOK_MS)
  timer.unref()
}

/** Number of the parent of a process, on Linux. Source: proc_pid_stat(5), field 4, behind the name in parentheses. */
function parentOf(pid: number): string {
  return procText(pid, 'stat').replace(/^.*\)/s, '').trim().split(' ')[1] ?? ''
}

/** A file of a process under /proc; empty where there is none. */
function procText(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1')
  } catch {
    return ''
  }
}

/** @throws OptionError when it is none of the choices */
export function choice<Choice extends string>(option: string, given: string, choices: readonly Choice[]): Choice {
  const found = choices.find((known) => known === given)
  if (found === undefined) {
    throw new OptionError(option, `'${given}' is not one of its values`, { expected: choices.join(', ') })
  }
  return found
}

/** @throws OptionError when it is no whole number within the bounds */
export function whole(option: string, given: string | undefined, otherwise: number, low: number, high: number): number {
  if (given === undefined) return otherwise
  const value = numberOf(given)
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new OptionError(option, `'${given}' is out of range`, {
      expected: high === Infinity ? `a whole number from ${low} on` : `a whole number from ${low} to ${high}`,
    })
  }
  return value
}

/** @throws OptionError when it is no number above `low`, up to `high` */
export function numberIn(
  option: string,
  given: string | undefined,
  otherwise: number,
  low: number,
  high: number,
): number {
  if (given === undefined) return otherwise
  const value = numberOf(given)
  if (value > low && value <= high) return value
  throw new OptionError(option, `'${given}' is out of range`, { expected: `a number above ${low}, at most ${high}` })
}

/** As Number, which takes an empty text for 0. */
function numberOf(text: string): number {
  return text.trim() === '' ? NaN : Number(text)
}
