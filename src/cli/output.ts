import { appendFileSync } from 'node:fs'
import { nodePlatform } from '../node.ts'
import type { Json } from '../base/json.ts'
import { printable } from '../base/printable.ts'
import type { Platform } from '../platform/platform.ts'
import { fileError } from '../platform/node/files.ts'
import { logToStderr } from '../platform/node/terminal.ts'

/** Output of a command: lines for people, and with `--json` documents for programs, which then have stdout to themselves. */
export class Output {
  readonly json: boolean
  /** Platform whose log is this output. */
  readonly platform: Platform
  private file: string | undefined
  private silent = false
  /** True if the file lacks a line. */
  private isCut = false

  constructor(json: boolean) {
    this.json = json
    const say = json ? logToStderr : nodePlatform.log
    this.platform = {
      ...nodePlatform,
      log: (line) => {
        if (this.silent) return
        say(line)
        this.keep(line)
      },
    }
  }

  /** Prints lines for people; on stderr with `--json`. */
  say(text: string): void {
    for (const line of text.split('\n')) this.platform.log(line)
  }

  /** Prints one line of JSON, if that is wanted. Numbers that are not finite become null. */
  document(value: Json): void {
    if (this.json) process.stdout.write(`${JSON.stringify(value)}\n`)
  }

  /** Writes all further lines to the end of a file as well. */
  keepLog(path: string): void {
    this.file = path
  }

  /** Writes a line to the end of the file as well; a failure is told once, as the work is worth more than its log. */
  private keep(line: string): void {
    if (this.file === undefined) return
    try {
      appendFileSync(this.file, `${printable(line)}\n`)
    } catch (error) {
      if (!this.isCut) logToStderr(`lines are missing from a log: ${fileError(this.file, error).message}`)
      this.isCut = true
    }
  }

  /** Runs work whose lines are not printed, as they repeat earlier ones. */
  async quietly<Result>(work: () => Promise<Result>): Promise<Result> {
    this.silent = true
    try {
      return await work()
    } finally {
      this.silent = false
    }
  }
}

/** Returns the words with which this command was begun, for advice: `npx wgrad` or `npm run wgrad --`. */
export function invocation(): string {
  return process.env.npm_lifecycle_event === 'wgrad' ? 'npm run wgrad --' : 'npx wgrad'
}
