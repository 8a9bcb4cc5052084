import { formatRate, formatTime } from '../../src/base/format.ts'
import { formatTable } from '../../src/base/table.ts'
import type { Row } from './harness.ts'

const HEADINGS = ['kernel', 'median', 'spread', 'arithmetic', 'memory', 'of its roof', 'off by', 'computed by'] as const

function cells(row: Row): string[] {
  return [
    row.name,
    formatTime(row.medianMs),
    `${formatTime(row.fastestMs)} – ${formatTime(row.slowestMs)}`,
    row.flops > 0 ? formatRate(row.flops, row.medianMs, 'FLOP') : '',
    formatRate(row.bytes, row.medianMs, 'B'),
    `${(100 * row.share).toFixed(0)}% ${row.roof}`,
    row.deviation.toExponential(1),
    row.kernel,
  ]
}

/** Total time of a network's convolutions, each weighted by its number of runs per step. */
export interface Total {
  readonly network: string
  readonly pass: string
  readonly timeMs: number
  readonly flops: number
  readonly count: number
}

export function totals(rows: readonly Row[]): readonly Total[] {
  const sums = new Map<string, { network: string; pass: string; timeMs: number; flops: number; count: number }>()
  for (const { name, uses, medianMs, flops } of rows) {
    for (const { network, count } of uses) {
      const operation = name.split(' ')[0]
      const kinds = operation.startsWith('conv2d/') ? [operation, 'conv2d, all three'] : [operation]
      for (const pass of kinds) {
        const key = `${network}, ${pass}`
        const sum = sums.get(key) ?? { network, pass, timeMs: 0, flops: 0, count: 0 }
        sum.timeMs += count * medianMs
        sum.flops += count * flops
        sum.count += count
        sums.set(key, sum)
      }
    }
  }
  return [...sums.values()].sort((a, b) => a.network.localeCompare(b.network) || b.timeMs - a.timeMs)
}

export function totalsTable(found: readonly Total[]): string {
  const lines = found.map(({ network, pass, timeMs, flops, count }) => [
    network,
    pass,
    String(count),
    formatTime(timeMs),
    flops > 0 ? formatRate(flops, timeMs, 'FLOP') : '',
  ])
  return formatTable([['in one step of', 'operation', 'times', 'time', 'arithmetic'], ...lines])
}

export function kernelTable(rows: readonly Row[]): string {
  return formatTable([[...HEADINGS], ...rows.map(cells)])
}
