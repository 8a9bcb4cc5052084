import { printable } from '../../base/printable.ts'
import type { Platform } from '../platform.ts'

const toLineStart = '\r'
/** Erases from the cursor to the end of the line. Source: ECMA-48, EL. */
const eraseLine = '\x1b[K'

let statusShown = false

/** Prints a line, in place of a status if one is shown. */
export function log(line: string): void {
  if (statusShown) writeStatus('')
  console.log(printable(line))
}

/** Prints a line where errors go, in place of a status if one is shown: for programs whose output another one reads. */
export function logToStderr(line: string): void {
  if (statusShown) writeStatus('')
  console.error(printable(line))
}

/** Rewrites the last line of the terminal; none where the output goes to a file or a pipe. */
export function terminalStatus(): Platform['status'] {
  return process.stderr.isTTY ? writeStatus : undefined
}

function writeStatus(text: string): void {
  // A text that wraps could not be overwritten. Terminals that do not know their width say 0, such as some of containers.
  const cut = printable(text).slice(0, (process.stderr.columns || 80) - 1)
  process.stderr.write(toLineStart + cut + eraseLine)
  statusShown = text !== ''
}

/** Ctrl-C, the request to end, the closed terminal; and what is added to their number in the exit code of a shell. */
const ENDING = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const
const SIGNALLED = 128
/** One Ctrl-C reaches a program twice where the terminal and npm both send it; people press more slowly. */
const SAME_PRESS_MS = 400

/** Calls `stop` at the first signal to end; a second one ends the program at once. Returns how to unsubscribe. */
export function onInterrupt(stop: () => void): () => void {
  let askedMs: number | undefined
  const handler = (signal: keyof typeof ENDING): void => {
    const now = performance.now()
    if (askedMs === undefined) {
      askedMs = now
      stop()
    } else if (now - askedMs > SAME_PRESS_MS) process.exit(SIGNALLED + ENDING[signal])
  }
  const signals = Object.keys(ENDING) as (keyof typeof ENDING)[]
  for (const signal of signals) process.on(signal, handler)
  return () => {
    for (const signal of signals) process.off(signal, handler)
  }
}

/** Formats a word for a shell. Those of Windows have double quotes in common, which no name of a file has there. */
export function quoted(word: string, system: string = process.platform): string {
  if (system === 'win32') return /^[\w.:/\\=+-]+$/.test(word) ? word : `"${word}"`
  return /^[\w.,:/=@+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
