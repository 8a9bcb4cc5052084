import type { Gpu } from '../src/gpu/device.ts'
import { formatBytes, formatRate, formatTime } from '../src/base/format.ts'
import { scope } from '../src/tensor/scope.ts'

/** One kernel at one shape: first proven, then timed. */
export interface Case {
  /** `conv2d/forward [2,28,28,128]→128 3×3 f16` */
  readonly name: string
  /** Operations of one run. */
  readonly flops: number
  /** Largest deviation from a reference on the CPU, relative to the largest value; and what is allowed. */
  prove(): Promise<{ readonly deviation: number; readonly allowed: number }>
  /** Records the launches once. */
  run(): void
}

export interface Row {
  readonly name: string
  readonly medianMs: number
  readonly fastestMs: number
  readonly slowestMs: number
  readonly flops: number
  readonly bytes: number
  readonly deviation: number
  /** Launches one run makes. */
  readonly launches: number
}

/** Runs that are not counted: the first compiles, the second finds the caches warm. */
const WARM_UP = 2

/**
 * Proves a case, then times it by the GPU's own clock.
 *
 * @throws Error when the kernel is wrong: a wrong kernel has no speed
 */
export async function measure(gpu: Gpu, item: Case, rounds = 9): Promise<Row> {
  if (!gpu.profiler) throw new Error('measure: open the GPU with { profile: true }')
  const { deviation, allowed } = await item.prove()
  // Written so that a NaN fails as well.
  if (!(deviation <= allowed)) throw new Error(`${item.name}: wrong by ${deviation}, allowed ${allowed}; not timed`)
  const times: number[] = []
  let bytes = 0
  let launches = 0
  for (let round = -WARM_UP; round < rounds; round++) {
    gpu.profiler.reset()
    scope(() => item.run())
    await gpu.queue.finished()
    const rows = await gpu.profiler.rows(gpu.platform)
    if (round >= 0) times.push(rows.reduce((sum, row) => sum + row.timeMs, 0))
    bytes = rows.reduce((sum, row) => sum + row.bytes, 0)
    launches = rows.length
  }
  times.sort((a, b) => a - b)
  return {
    name: item.name,
    medianMs: times[times.length >> 1],
    fastestMs: times[0],
    slowestMs: times[times.length - 1],
    flops: item.flops,
    bytes,
    deviation,
    launches,
  }
}

export const HEADINGS = ['kernel', 'median', 'spread', 'arithmetic', 'memory', 'traffic', 'off by'] as const

export function cells(row: Row): string[] {
  return [
    row.name,
    formatTime(row.medianMs),
    `${formatTime(row.fastestMs)} – ${formatTime(row.slowestMs)}`,
    row.flops > 0 ? formatRate(row.flops, row.medianMs, 'FLOP') : '',
    formatRate(row.bytes, row.medianMs, 'B'),
    formatBytes(row.bytes),
    row.deviation.toExponential(1),
  ]
}
