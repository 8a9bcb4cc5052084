/**
 * `npm run fuzz -- --count N`: reads damaged files of every kind that the library supports. No file may end the
 * process, block it for two seconds or take a GiB; an accepted file must read the same twice, and a refusal must name
 * the file.
 */
import { fork } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { formatBytes } from '../src/base/format.ts'
import { formatTable } from '../src/base/table.ts'
import { choice, parseCommand, runCommand, whole } from '../src/cli/command.ts'
import { fuzzCase } from './fuzz/case.ts'
import { KINDS, subjects, type Kind } from './fuzz/subjects.ts'
import type { Order, Report } from './fuzz/worker.ts'

const USAGE = `npm run fuzz -- [options]

  --count N   files in all, a like number of each kind (10000)
  --kind K    only those: ${KINDS.join(', ')}
  --seed N    other files (0)
  --out DIR   where files at fault are written (runs/fuzz)`

/**
 * Time without an answer after which a file counts as endless: far more than two seconds, to allow for a busy machine.
 */
const SILENCE_MS = 60_000

interface Fault {
  readonly kind: Kind
  readonly index: number
  readonly what: string
}

interface Tally {
  readonly kind: Kind
  files: number
  accepted: number
  seconds: number
  bytes: number
  readonly faults: Fault[]
}

async function main(argv: readonly string[]): Promise<void> {
  const { values } = parseCommand('fuzz', argv, {
    count: { type: 'string' },
    kind: { type: 'string' },
    seed: { type: 'string' },
    out: { type: 'string' },
    help: { type: 'boolean' },
  })
  if (values.help) {
    console.log(USAGE)
    return
  }
  const kinds = values.kind === undefined ? KINDS : [choice('--kind', values.kind, KINDS)]
  const seed = whole('--seed', values.seed, 0, Infinity) ?? 0
  const each = Math.ceil((whole('--count', values.count, 1, Infinity) ?? 10_000) / kinds.length)
  const tallies: Tally[] = []
  for (const kind of kinds) tallies.push(await fuzz(kind, seed, each))
  const rows = tallies.map(({ kind, files, accepted, seconds, bytes, faults }) => [
    kind,
    String(files),
    String(accepted),
    String(files - accepted),
    `${seconds.toFixed(2)} s`,
    formatBytes(bytes),
    String(faults.length),
  ])
  console.log(formatTable([['', 'files', 'accepted', 'refused', 'longest', 'largest', 'faults'], ...rows]))
  const faults = tallies.flatMap((tally) => tally.faults)
  const folder = values.out ?? join('runs', 'fuzz')
  const all = await subjects()
  for (const { kind, index, what } of faults) {
    mkdirSync(folder, { recursive: true })
    const file = join(folder, `${kind}-${seed}-${index}`)
    writeFileSync(file, fuzzCase(kind, all[kind], seed, index))
    console.log(`${file}: ${what}`)
  }
  if (faults.length > 0) process.exitCode = 1
}

/** Reads the files of a kind in a process of its own, and continues in another when it ends or blocks. */
async function fuzz(kind: Kind, seed: number, count: number): Promise<Tally> {
  const tally: Tally = { kind, files: count, accepted: 0, seconds: 0, bytes: 0, faults: [] }
  for (let from = 0; from < count;) from = await runWorker({ kind, seed, from, to: count }, tally)
  return tally
}

/** Examines files in one process. @returns the number of the file to continue with */
function runWorker(order: Order, tally: Tally): Promise<number> {
  const worker = fork(fileURLToPath(new URL('./fuzz/worker.js', import.meta.url)), [JSON.stringify(order)])
  let begun = order.from
  let done = order.from
  let silence: NodeJS.Timeout | undefined
  const watch = () => {
    clearTimeout(silence)
    silence = setTimeout(() => worker.kill('SIGKILL'), SILENCE_MS)
  }
  watch()
  worker.on('message', ({ index, finding }: Report) => {
    watch()
    begun = index
    if (!finding) return
    done = index + 1
    tally.accepted += Number(finding.accepted)
    tally.seconds = Math.max(tally.seconds, finding.seconds)
    tally.bytes = Math.max(tally.bytes, finding.bytes)
    if (finding.fault !== undefined) tally.faults.push({ kind: order.kind, index, what: finding.fault })
  })
  return new Promise((resolve) => {
    worker.on('exit', (code, signal) => {
      clearTimeout(silence)
      if (done < order.to) {
        tally.faults.push({
          kind: order.kind,
          index: begun,
          what: `the process ended on it (${signal ?? `exit code ${code}`})`,
        })
      }
      resolve(done < order.to ? begun + 1 : done)
    })
  })
}

await runCommand(main)
