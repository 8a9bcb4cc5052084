import { formatRate, formatTime } from '../base/format.ts'
import { formatTable } from '../base/table.ts'
import type { Platform } from '../platform/platform.ts'
import type { Launch } from './queue.ts'

/** One launch with the time the GPU's own clock gave it. */
export interface ProfileRow {
  readonly label: string
  readonly flops: number
  readonly bytes: number
  readonly startMs: number
  readonly timeMs: number
}

interface Batch {
  readonly launches: readonly Launch[]
  readonly staging: GPUBuffer
}

/** Launches between two submits that are timed; what comes beyond runs untimed. WebGPU's limit of a query set is 4096. */
const MOST_LAUNCHES = 2048
/** Launches timed in all: some 250 training steps, so that a long run ends with a file that a browser can open. */
const BUDGET = 50_000

/**
 * Times every launch with timestamp queries. They bracket passes, not launches, so a profiled launch has a pass of its
 * own: a little slower than a normal run, but each figure is the GPU's.
 */
export class Profiler {
  private readonly device: GPUDevice
  private readonly queries: GPUQuerySet
  private readonly resolved: GPUBuffer
  private launches: Launch[] = []
  private pending: Batch[] = []
  private readonly measured: ProfileRow[] = []
  private left = BUDGET

  constructor(device: GPUDevice) {
    this.device = device
    this.queries = device.createQuerySet({ type: 'timestamp', count: 2 * MOST_LAUNCHES })
    // QUERY_RESOLVE | COPY_SRC
    this.resolved = device.createBuffer({ size: 16 * MOST_LAUNCHES, usage: 0x200 | 0x4, label: 'timestamps' })
  }

  passFor(launch: Launch): GPUComputePassDescriptor {
    const index = this.launches.length
    if (index >= MOST_LAUNCHES || this.left === 0) return {}
    this.left--
    this.launches.push(launch)
    return {
      timestampWrites: { querySet: this.queries, beginningOfPassWriteIndex: 2 * index, endOfPassWriteIndex: 2 * index + 1 },
    }
  }

  /** Called with the command buffer that is about to be submitted. */
  resolve(encoder: GPUCommandEncoder): void {
    if (this.launches.length === 0) return
    const bytes = 16 * this.launches.length
    // MAP_READ | COPY_DST
    const staging = this.device.createBuffer({ size: bytes, usage: 0x1 | 0x8, label: 'timestamps' })
    encoder.resolveQuerySet(this.queries, 0, 2 * this.launches.length, this.resolved, 0)
    encoder.copyBufferToBuffer(this.resolved, 0, staging, 0, bytes)
    this.pending.push({ launches: this.launches, staging })
    this.launches = []
  }

  /** The rows so far; waits for those still under way. */
  async rows(platform: Platform): Promise<readonly ProfileRow[]> {
    const batches = this.pending
    this.pending = []
    for (const { launches, staging } of batches) {
      await platform.waitFor(staging.mapAsync(1))
      const times = new BigUint64Array(staging.getMappedRange())
      launches.forEach(({ label, flops, bytes }, i) => {
        const timeMs = Number(times[2 * i + 1] - times[2 * i]) / 1e6
        this.measured.push({ label, flops, bytes, startMs: Number(times[2 * i]) / 1e6, timeMs })
      })
      staging.destroy()
    }
    return this.measured
  }

  /** Forgets the rows so far and begins a new budget. */
  reset(): void {
    this.measured.length = 0
    this.left = BUDGET
  }
}

/** The rows as a Chrome trace (chrome://tracing, ui.perfetto.dev): one track for each kind of operation. */
export function profileTrace(rows: readonly ProfileRow[]): string {
  const start = rows.reduce((least, row) => Math.min(least, row.startMs), Infinity)
  const tracks = new Map<string, number>()
  const events = rows.map(({ label, flops, bytes, startMs, timeMs }) => {
    const track = label.split('/')[0]
    if (!tracks.has(track)) tracks.set(track, tracks.size + 1)
    const args = { bytes, ...(flops > 0 ? { flops, rate: formatRate(flops, timeMs, 'FLOP') } : {}), memory: formatRate(bytes, timeMs, 'B') }
    return { name: label, cat: track, ph: 'X', pid: 1, tid: tracks.get(track), ts: (startMs - start) * 1000, dur: timeMs * 1000, args }
  })
  const names = [...tracks].map(([name, tid]) => ({ name: 'thread_name', ph: 'M', pid: 1, tid, args: { name } }))
  return JSON.stringify({ traceEvents: [...names, ...events], displayTimeUnit: 'ms' })
}

/** Rows gathered by what comes before the first space of their label, or by the whole label; slowest first. */
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
  const lines = [...groups].sort(([, a], [, b]) => b.timeMs - a.timeMs).map(([key, { calls, timeMs, flops, bytes }]) => [
    key,
    String(calls),
    formatTime(timeMs),
    `${((100 * timeMs) / totalMs).toFixed(1)}%`,
    flops > 0 ? formatRate(flops, timeMs, 'FLOP') : '',
    formatRate(bytes, timeMs, 'B'),
  ])
  return formatTable([['launch', 'calls', 'time', 'share', 'arithmetic', 'memory'], ...lines])
}
