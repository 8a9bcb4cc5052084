// Formats measurements as text.
import { formatBytes, formatRate, formatTime } from '../../dist/src/base/format.js'
import { formatTable } from '../../dist/src/base/table.js'

/** Returns the median of some numbers. */
export function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/**
 * Formats a table: one line per measurement, one column per peer, with the ratio to wgrad in brackets behind each
 * figure.
 *
 * @param peers  { id, title, ours }, those that ran
 * @param rows   { name, flops, unit: 'ms' | 'bytes' | 'count', values: { [id]: number }, failed: id[] }
 */
export function report(peers, rows) {
  const ours = peers.filter((peer) => peer.ours)
  const cell = ({ unit, values, failed }, peer) => {
    const value = values[peer.id]
    if (value === undefined) return failed.includes(peer.id) ? 'failed' : ''
    const text = { ms: formatTime, bytes: formatBytes, count: String }[unit](value)
    const bases = unit === 'count' || peer.ours ? [] : ours.map(({ id }) => values[id])
    return bases.some((base) => base !== undefined)
      ? `${text} (${bases.map((base) => ratio(value, base)).join(', ')})`
      : text
  }
  const heading = ['', ...peers.map(({ title }) => title)]
  const times = [heading, ...rows.map((row) => [row.name, ...peers.map((peer) => cell(row, peer))])]
  const rates = [
    heading,
    ...rows
      .filter(({ flops }) => flops > 0)
      .map(({ name, flops, values }) => [
        name,
        ...peers.map(({ id }) => (values[id] === undefined ? '' : formatRate(flops, values[id], 'FLOP'))),
      ]),
  ]
  const what =
    ours.length > 0
      ? `Medians; in brackets, times that of ${ours.map(({ title }) => title).join(', and of ')}.`
      : 'Medians.'
  return `${what}\n\n${formatTable(times)}\n\n${formatTable(rates)}`
}

function ratio(value, base) {
  if (base === undefined) return '–'
  const times = value / base
  return `${times.toFixed(times < 10 ? 2 : 1)}×`
}
