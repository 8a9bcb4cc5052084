import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DataError } from '../../src/base/errors.ts'
import { rng } from '../../src/base/rng.ts'
import { sampleData } from '../../src/data/sample.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'
import { OPTIONS_FILE } from '../../src/platform/node/run-folder.ts'
import type { Results } from './results.ts'

/** Arguments of a small lesson of a narrow network, with every kind of fit: one alone, and one that continues another. */
const LESSON = [
  '--size',
  '32',
  '--then-size',
  '40',
  '--batch-size',
  '8',
  '--epochs',
  '2',
  '--limit',
  '20',
  '--valid',
  '0.2',
  '--only',
  'larger-images',
  '--widen',
  '0.25',
]
/** Number of generated images: few, because the test concerns what happens between them. */
const IMAGES = 50
/** Shortest time from a start to a kill in milliseconds, in which Node itself starts. */
const FIRST_MS = 200

export interface KillOptions {
  /** Total number of kills, over as many runs as needed. */
  readonly count: number
  /** Empty folder for data and runs. */
  readonly folder: string
  /** Seed of the random moments. Default 0 */
  readonly seed?: number
  readonly log?: (line: string) => void
}

/** Result of a series of kills. */
export interface KillResult {
  readonly kills: number
  /**
   * Number of runs that were killed at least once, resumed until their end, and produced the numbers of the run that
   * was not killed.
   */
  readonly runs: number
}

/**
 * Kills runs of the lesson at random moments with SIGKILL, resumes each with `--resume` until it ends, and compares its
 * figures, its losses of every step and the bytes of its model with those of a run that was not killed.
 *
 * @throws DataError  naming the run, if anything differs or a file is left over
 */
export async function killAndResume({ count, folder, seed = 0, log = () => {} }: KillOptions): Promise<KillResult> {
  const data = await sampleData({ images: IMAGES, home: folder, platform: { ...nodePlatform, status: undefined, log } })
  const random = rng(seed, 'kill')
  const whole = join(folder, 'whole')
  const start = performance.now()
  await attempt(['--data', data, ...LESSON, '--out', whole])
  const wholeMs = performance.now() - start
  log(`the whole run: ${(wholeMs / 1000).toFixed(1)} s`)
  let [kills, runs] = [0, 0]
  while (kills < count) {
    const out = join(folder, `killed-${runs}`)
    const momentsMs: number[] = []
    for (let ended = false; !ended;) {
      const killMs = kills < count ? random.uniform(FIRST_MS, wholeMs) : Infinity
      const begun = existsSync(join(out, OPTIONS_FILE))
      ended = await attempt(begun ? ['--resume', out] : ['--data', data, ...LESSON, '--out', out], killMs)
      if (ended) break
      kills++
      momentsMs.push(killMs)
    }
    // A run that ended before its only kill proves nothing.
    if (momentsMs.length === 0) continue
    runs++
    requireSame(whole, out)
    log(
      `run ${runs}: the same after ${momentsMs.length} kills, at ${momentsMs.map((ms) => (ms / 1000).toFixed(2)).join(', ')} s; ${kills} of ${count}`,
    )
  }
  return { kills, runs }
}

/** Runs the lesson until its end or until it is killed. @returns true if it reached its end */
async function attempt(args: readonly string[], killMs = Infinity): Promise<boolean> {
  // Uses the built command, whether this file runs from the sources or from the build.
  const root = fileURLToPath(new URL(import.meta.url.includes('/dist/') ? '../../..' : '../..', import.meta.url))
  const child = spawn(process.execPath, [join(root, 'dist', 'bench', 'imagenette.js'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (part: Buffer) => {
      said += part.toString()
    })
  }
  const timer = killMs < Infinity ? setTimeout(() => child.kill('SIGKILL'), killMs) : undefined
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (...ended) => resolve(ended))
  })
  clearTimeout(timer)
  if (signal === 'SIGKILL') return false
  // Exit code 1: it did not learn in so few steps.
  const ended = said.includes('written: ') || said.includes('there is nothing to continue')
  if ((code === 0 || code === 1) && ended) return true
  throw new DataError(args.join(' '), 'the lesson did not come to its end', {
    given: { code, signal, said: said.slice(-2000) },
  })
}

/** @throws DataError  if a run differs from another, or left temporary files */
function requireSame(expected: string, out: string): void {
  const names = (folder: string) => readdirSync(folder).sort().join(' ')
  const parts: readonly (readonly [what: string, of: (folder: string) => string])[] = [
    ['files', names],
    ['figures', figuresOf],
    ...['steps.jsonl', 'model.safetensors'].map(
      (name) => [name, (folder: string) => readFileSync(join(folder, name), 'latin1')] as const,
    ),
  ]
  for (const [what, of] of parts) {
    const [there, here] = [of(expected), of(out)]
    if (there === here) continue
    throw new DataError(out, `other ${what} than those of the run that was not killed`, {
      given: there.length < 1000 ? { [what]: here } : {},
      expected: there.length < 1000 ? there : 'the same',
    })
  }
}

/** Returns all figures of a run except times and memory. */
function figuresOf(folder: string): string {
  const { sections } = JSON.parse(readFileSync(join(folder, 'results.json'), 'utf8')) as Results
  return JSON.stringify(
    sections.map(({ seconds, gpuMemoryBytes, epochs, ...section }) => ({
      ...section,
      epochs: epochs.map(({ seconds: _seconds, imagesPerSecond, ...epoch }) => epoch),
    })),
  )
}
