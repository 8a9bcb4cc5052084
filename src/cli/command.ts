import { readFileSync } from 'node:fs'
import { inspect, parseArgs, type ParseArgsConfig } from 'node:util'
import { OptionError, WgradError } from '../base/errors.ts'
import { nearest } from '../base/options.ts'
import { fileError } from '../platform/node/files.ts'
import { logToStderr } from '../platform/node/terminal.ts'

/** Options of `parseCommand`. */
export interface ParseOptions {
  /** True if the command takes arguments that are not options. Default false */
  readonly positionals?: boolean
  /** Command line that explains the options. Default `npm run COMMAND -- --help` */
  readonly help?: string
}

/**
 * Parses the arguments of a command.
 *
 * @throws OptionError  if an option is unknown, naming the nearest known one, or lacks its value
 */
export function parseCommand<const Options extends NonNullable<ParseArgsConfig['options']>>(
  command: string,
  argv: readonly string[],
  options: Options,
  { positionals: allowPositionals = false, help = `npm run ${command} -- --help` }: ParseOptions = {},
): ReturnType<typeof parseArgs<{ args: string[]; options: Options; allowPositionals: boolean }>> {
  try {
    const parsed = parseArgs({ args: [...argv], options, allowPositionals })
    requireTexts(command, parsed)
    return parsed
  } catch (cause) {
    if (cause instanceof OptionError) throw cause
    const [message] = (cause as Error).message.split('\n')
    const unknown = /^Unknown option '-*([^']+)'/.exec(message)?.[1]
    const near = unknown === undefined ? undefined : nearest(unknown, Object.keys(options))
    const list = `\`${help}\` lists the options`
    const dashed = /^Option '.*(--[^ ']+)[^']*' argument is ambiguous/.exec(message)?.[1]
    const advice = [
      ...(near === undefined ? [] : [`write --${near}`]),
      ...(dashed === undefined ? [] : [`write ${dashed}=VALUE where a value begins with a dash`]),
      ...(allowPositionals && /^Unknown option '-[^-]'/.test(message)
        ? ['write ./ before the name of a file that begins with a dash']
        : []),
      list,
    ]
    throw new OptionError(command, message.replace(/ To specify a positional.*/, ''), { fix: advice.join('; '), cause })
  }
}

/** @throws OptionError  for an empty text, which a shell makes of a variable that is not set */
function requireTexts(
  command: string,
  { values, positionals }: { readonly values: object; readonly positionals: readonly string[] },
): void {
  const empty = Object.entries(values).find(([, value]) => [value].flat().includes(''))
  if (empty === undefined && !positionals.includes('')) return
  throw new OptionError(empty === undefined ? command : `--${empty[0]}`, 'the text is empty', {
    fix: empty === undefined ? 'leave the argument out, or write it' : 'leave the option out, or give it a value',
  })
}

/**
 * Runs a command to its end. Errors of the library are printed as their message only; any other error is a bug and
 * printed with its stack.
 *
 * @param exitCodeOf  exit code of an error. Default 1 for every one
 */
export async function runCommand(
  main: (argv: readonly string[]) => Promise<void>,
  exitCodeOf: (error: unknown) => number = () => 1,
): Promise<void> {
  outliveTerminal()
  endWithNpm()
  await main(process.argv.slice(2)).catch((error: unknown) => {
    logToStderr(error instanceof WgradError ? `${error.name}: ${error.message}` : inspect(error))
    process.exitCode = exitCodeOf(error)
  })
}

/**
 * Outlives its output, so that the run can end in order: a closed terminal or pipe (`| head`) is ignored; where a file cannot
 * be written, as on a full disk, the exit code is not that of success.
 */
function outliveTerminal(): void {
  let isTold = false
  for (const [name, stream] of Object.entries({ stdout: process.stdout, stderr: process.stderr })) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EIO' || error.code === 'EPIPE' || isTold) return
      isTold = true
      console.error(`${name} is cut short: ${fileError(name, error).message}`)
      process.on('exit', () => {
        process.exitCode ||= 1
      })
    })
  }
}

/** Interval between checks whether npm is still running. */
const LOOK_MS = 500

/** Names of the shells that npm starts commands in. */
const SHELLS = /^(sh|ash|bash|busybox|dash|ksh|zsh)$/

/**
 * Ends a command as a closed terminal would when the npm process that started it is gone: npm passes on SIGINT and
 * SIGTERM but not SIGHUP, and the shell between the two passes on nothing.
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

/**
 * Returns the parent process id of a process, on Linux. Source: proc_pid_stat(5), field 4, after the name in
 * parentheses.
 */
function parentOf(pid: number): string {
  return procText(pid, 'stat').replace(/^.*\)/s, '').trim().split(' ')[1] ?? ''
}

/** Reads a file of a process under /proc; returns '' if there is none. */
function procText(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1')
  } catch {
    return ''
  }
}

type Text = string | undefined
/** Value of an option; undefined only where the option may be left out. */
type Or<Value, Given extends Text> = Value | Extract<Given, undefined>

/** Returns an option whose value, if it is given, must be one of some choices. @throws OptionError  if it is not, naming the nearest */
export function choice<const Choice extends string, Given extends Text>(
  option: string,
  given: Given,
  choices: readonly Choice[],
): Or<Choice, Given> {
  if (given === undefined) return undefined as Or<never, Given>
  const found = choices.find((known: string) => known === given)
  if (found === undefined) {
    const near = nearest(given, choices)
    throw new OptionError(option, `'${given}' is not one of its values`, {
      expected: choices.join(', '),
      fix: near && `write ${near}`,
    })
  }
  return found
}

/** Returns an option that, if it is given, must be an integer from `low` to `high`. @throws OptionError  if it is not */
export function whole<Given extends Text>(option: string, given: Given, low: number, high: number): Or<number, Given> {
  if (given === undefined) return undefined as Or<never, Given>
  const value = numberOf(given)
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new OptionError(option, `'${given}' is out of range`, {
      expected: high === Infinity ? `a whole number from ${low} on` : `a whole number from ${low} to ${high}`,
    })
  }
  return value
}

/** Returns an option that, if it is given, must be a number above `low` and at most `high`. @throws OptionError  if it is not */
export function numberIn<Given extends Text>(
  option: string,
  given: Given,
  low: number,
  high: number,
): Or<number, Given> {
  if (given === undefined) return undefined as Or<never, Given>
  const value = numberOf(given)
  if (value > low && value <= high) return value
  throw new OptionError(option, `'${given}' is out of range`, { expected: `a number above ${low}, at most ${high}` })
}

/** Bounds of the option --widen, the factor of the widths of an xresnet's stages; the lower one is excluded. */
export const WIDEN = [0, 16] as const

/** Returns the value of the option --widen, if it is given. @throws OptionError  if it is out of range */
export function widenOption(given: string | undefined): number | undefined {
  return numberIn('--widen', given, ...WIDEN)
}

/** Converts text to a number; unlike `Number`, empty text becomes NaN. */
function numberOf(text: string): number {
  return text.trim() === '' ? NaN : Number(text)
}
