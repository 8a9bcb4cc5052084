import { formatRate, formatTime } from '../base/format.ts'
import { formatTable } from '../base/table.ts'
import type { Platform } from '../platform/platform.ts'
import { BUFFER_USAGE } from './flags.ts'
import type { Launch } from './launch.ts'
import { ReadBack, type StagedRead } from './read-back.ts'

/** One launch with its time by the clock of the GPU. */
export interface ProfileRow {
  readonly label: string
  readonly flops: number
  readonly bytes: number
  /** Label of the launch by which rows are grouped. */
  readonly track: string
  readonly startMs: number
  readonly timeMs: number
}

/** Function that waits for the times of the launches of one submit. */
export type ReadRows = (platform: Platform) => Promise<readonly ProfileRow[]>

/** Options of a `Profiler`. */
export interface ProfilerOptions {
  /** Number of rows to keep. Default 50,000: some 250 training steps, so that a long run ends with a file that a browser can open. */
  readonly budget?: number
  /** True if timing continues after the budget is used up, for callers that read the result of `resolve`. Default false */
  readonly always?: boolean
}

/** Most launches between two submits that are timed; further ones run untimed. WebGPU limits a query set to 4096 queries. */
export const MOST_LAUNCHES = 2048

/**
 * Times of all launches by timestamp queries. These bracket passes, not launches, so a profiled launch has a pass of its
 * own: slightly slower than a normal run, but every time is measured by the GPU.
 */
export class Profiler {
  private readonly queries: GPUQuerySet
  private readonly resolved: GPUBuffer
  private readonly readBack: ReadBack
  private readonly budget: number
  private readonly always: boolean
  private launches: Launch[] = []
  private pending: ReadRows[] = []
  private readonly measured: ProfileRow[] = []
  private left: number

  constructor(device: GPUDevice, { budget = 50_000, always = false }: ProfilerOptions = {}) {
    this.budget = budget
    this.always = always
    this.left = budget
    this.queries = device.createQuerySet({ type: 'timestamp', count: 2 * MOST_LAUNCHES })
    const usage = BUFFER_USAGE.QUERY_RESOLVE | BUFFER_USAGE.COPY_SRC
    this.resolved = device.createBuffer({ size: 16 * MOST_LAUNCHES, usage, label: 'timestamps' })
    this.readBack = new ReadBack(device, 'timestamps')
  }

  /** Returns the descriptor of the pass that times a launch; without timestamps if no query is left. */
  passFor(launch: Launch): GPUComputePassDescriptor {
    const index = this.launches.length
    if (index >= MOST_LAUNCHES || (index >= this.left && !this.always)) return {}
    this.launches.push(launch)
    return {
      timestampWrites: {
        querySet: this.queries,
        beginningOfPassWriteIndex: 2 * index,
        endOfPassWriteIndex: 2 * index + 1,
      },
    }
  }

  /** Encodes the copy of the timestamps, just before the submit. @returns a function that reads the times after the submit */
  resolve(encoder: GPUCommandEncoder): ReadRows | undefined {
    const { launches } = this
    if (launches.length === 0) return undefined
    encoder.resolveQuerySet(this.queries, 0, 2 * launches.length, this.resolved, 0)
    const staged = this.readBack.stage(encoder, this.resolved, 0, 16 * launches.length)
    this.launches = []
    // Read once, by the first caller.
    let rows: Promise<readonly ProfileRow[]> | undefined
    const readRows: ReadRows = (platform) => (rows ??= rowsOf(launches, staged, platform))
    const kept = Math.min(launches.length, this.left)
    this.left -= kept
    if (kept > 0) this.pending.push(async (platform) => (await readRows(platform)).slice(0, kept))
    return readRows
  }

  /** Returns all rows so far, after waiting for pending ones. */
  async rows(platform: Platform): Promise<readonly ProfileRow[]> {
    for (const readRows of this.pending.splice(0)) this.measured.push(...(await readRows(platform)))
    return this.measured
  }

  /** Discards the rows of all launches that were submitted, and restores the budget. */
  reset(): void {
    this.measured.length = 0
    this.pending = []
    this.left = this.budget
  }
}

async function rowsOf(
  launches: readonly Launch[],
  staged: StagedRead,
  platform: Platform,
): Promise<readonly ProfileRow[]> {
  const times = new BigUint64Array(await staged(platform))
  return launches.map(({ label, flops, bytes, track }, i) => {
    const timeMs = Number(times[2 * i + 1] - times[2 * i]) / 1e6
    return { label, flops, bytes, track, startMs: Number(times[2 * i]) / 1e6, timeMs }
  })
}

/** Returns the given tracks, then any others that rows have. */
function tracksOf(rows: readonly ProfileRow[], tracks: readonly string[]): readonly string[] {
  return [...new Set([...tracks, ...rows.map(({ track }) => track)])]
}

/** Returns rows as a Chrome trace (chrome://tracing, ui.perfetto.dev): the given tracks in order, then any others that rows have. */
export function profileTrace(rows: readonly ProfileRow[], tracks: readonly string[]): string {
  const all = tracksOf(rows, tracks)
  const start = rows.reduce((least, row) => Math.min(least, row.startMs), Infinity)
  const events = rows.map((row) => {
    const { label, flops, bytes, startMs, timeMs } = row
    const args = {
      bytes,
      ...(flops > 0 ? { flops, rate: formatRate(flops, timeMs, 'FLOP') } : {}),
      memory: formatRate(bytes, timeMs, 'B'),
    }
    const tid = all.indexOf(row.track) + 1
    return {
      name: label,
      cat: label.split('/')[0],
      ph: 'X',
      pid: 1,
      tid,
      ts: (startMs - start) * 1000,
      dur: timeMs * 1000,
      args,
    }
  })
  const names = all.map((name, i) => ({ name: 'thread_name', ph: 'M', pid: 1, tid: i + 1, args: { name } }))
  return JSON.stringify({ traceEvents: [...names, ...events], displayTimeUnit: 'ms' })
}

/** Returns the share of each track in the time: `data 4.0%  forward 31.2%  backward 60.1%  optimizer 4.7%`. */
export function profileShares(rows: readonly ProfileRow[], tracks: readonly string[]): string {
  const timeOf = (some: readonly ProfileRow[]) => some.reduce((sum, { timeMs }) => sum + timeMs, 0)
  const totalMs = timeOf(rows)
  const share = (track: string) => timeOf(rows.filter((row) => row.track === track)) / totalMs
  return tracksOf(rows, tracks)
    .map((track) => `${track} ${(100 * share(track)).toFixed(1)}%`)
    .join('  ')
}

/** Returns a table of launches grouped by operation (the label up to its first space) or by shape (the whole label), slowest first. */
export function profileTable(rows: readonly ProfileRow[], by: 'operation' | 'shape' = 'operation'): string {
  const groups = new Map<string, { calls: number; timeMs: number; flops: number; bytes: number }>()
  for (const row of rows) {
    const key = by === 'operation' ? row.label.split(' ')[0] : row.label
    const group = groups.get(key) ?? { calls: 0, timeMs: 0, flops: 0, bytes: 0 }
    group.calls++
    group.timeMs += row.timeMs
    group.flops += row.flops
    group.bytes += row.bytes
    groups.set(key, group)
  }
  const totalMs = rows.reduce((sum, row) => sum + row.timeMs, 0)
  const lines = [...groups]
    .sort(([, a], [, b]) => b.timeMs - a.timeMs)
    .map(([key, { calls, timeMs, flops, bytes }]) => [
      key,
      String(calls),
      formatTime(timeMs),
      `${((100 * timeMs) / totalMs).toFixed(1)}%`,
      flops > 0 ? formatRate(flops, timeMs, 'FLOP') : '',
      formatRate(bytes, timeMs, 'B'),
    ])
  return formatTable([['launch', 'calls', 'time', 'share', 'arithmetic', 'memory'], ...lines])
}
