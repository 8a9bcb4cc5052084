import { WgradError } from '../../src/base/errors.ts'
import type { Subject } from './subjects.ts'

/** Limits of CPU time and memory for reading one file. */
const MOST_SECONDS = 2
const MOST_BYTES = 2 ** 30

/** Result of reading one file twice. */
export interface Finding {
  readonly accepted: boolean
  /** Fault that was found; absent if the file was accepted or refused as it should be. */
  readonly fault?: string
  readonly seconds: number
  readonly bytes: number
}

/**
 * Reads a file twice: an accepted file must give the same result both times, and a refused one must be refused with an
 * error of the library that names the file. Time is CPU time; memory is the total of all typed arrays allocated in one
 * reading, released or not.
 */
export async function examine({ path, read }: Pick<Subject, 'path' | 'read'>, bytes: Uint8Array): Promise<Finding> {
  const outcomes: (readonly [kind: 'accepted' | 'refused', text: string])[] = []
  let fault: string | undefined
  let seconds = 0
  let taken = 0
  for (let reading = 0; reading < 2; reading++) {
    const counted = countBytes()
    const before = process.cpuUsage()
    try {
      outcomes.push(['accepted', await read(bytes.slice())])
    } catch (error) {
      if (!(error instanceof WgradError)) {
        fault ??= `a foreign error: ${error instanceof Error ? error.stack : String(error)}`
      } else if (!error.message.includes(path)) fault ??= `the file is not named: ${error.message}`
      outcomes.push(['refused', error instanceof Error ? error.message : String(error)])
    } finally {
      const { user, system } = process.cpuUsage(before)
      seconds = Math.max(seconds, (user + system) / 1e6)
      taken = Math.max(taken, counted())
    }
  }
  const [[kind, text], [kindAgain, textAgain]] = outcomes
  if (kind !== kindAgain || text !== textAgain) {
    fault ??= `read twice, ${kind} and ${kindAgain}: ${text.slice(0, 200)} | ${textAgain.slice(0, 200)}`
  }
  if (seconds > MOST_SECONDS) fault ??= `it took ${seconds.toFixed(1)} s`
  if (taken > MOST_BYTES) fault ??= `it took ${(taken / 2 ** 20).toFixed(0)} MiB`
  return { accepted: kind === 'accepted', seconds, bytes: taken, ...(fault === undefined ? {} : { fault }) }
}

const ARRAYS = [
  'ArrayBuffer',
  'Uint8Array',
  'Uint16Array',
  'Uint32Array',
  'Int32Array',
  'Float32Array',
  'BigInt64Array',
] as const

/**
 * Counts the bytes of typed arrays allocated from now on. @returns a function that stops counting and returns the
 * number of bytes
 */
function countBytes(): () => number {
  const globals = globalThis as unknown as Record<string, new (...parts: unknown[]) => ArrayBufferLike>
  const originals = ARRAYS.map((name) => [name, globals[name]] as const)
  let bytes = 0
  for (const [name, original] of originals) {
    globals[name] = new Proxy(original, {
      construct(target, parts, newTarget) {
        const made = Reflect.construct(target, parts, newTarget) as ArrayBufferLike
        // A view of an existing buffer allocates nothing.
        if (typeof parts[0] !== 'object' || name === 'ArrayBuffer') bytes += made.byteLength
        return made
      },
    })
  }
  return () => {
    for (const [name, original] of originals) globals[name] = original
    return bytes
  }
}
