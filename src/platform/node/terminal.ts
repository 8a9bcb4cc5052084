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

/** Rewrites the last line of the terminal; none where the output goes to a file or a pipe. */
export function terminalStatus(): Platform['status'] {
  return process.stderr.isTTY ? writeStatus : undefined
}

function writeStatus(text: string): void {
  // A text that wraps could not be overwritten.
  const cut = printable(text).slice(0, Math.max(0, (process.stderr.columns ?? 80) - 1))
  process.stderr.write(toLineStart + cut + eraseLine)
  statusShown = text !== ''
}

/** The exit code of a program ended by SIGINT: 128 + 2. */
const INTERRUPTED = 130

/** Calls `stop` at the first Ctrl-C; a second one ends the program at once. Returns how to unsubscribe. */
export function onInterrupt(stop: () => void): () => void {
  let asked = false
  const handler = (): void => {
    if (asked) process.exit(INTERRUPTED)
    asked = true
    stop()
  }
  process.on('SIGINT', handler)
  return () => {
    process.off('SIGINT', handler)
  }
}
