import type { Platform } from '../platform/platform.ts'
import { isNumber } from './require-classes.ts'
import type { Split } from './splitters.ts'
import { rowOf, type TargetCodec, type TargetNumbers } from './targets.ts'
import { countsOf } from './weights.ts'

/** Classes that are listed one by one; of more, the smallest and the largest. */
const LISTED = 20
const SHOWN_OF_MANY = 5

/** Lines that were printed last, so that loaders of the same items do not repeat them. */
const printed = new WeakMap<Platform, string>()

/**
 * Prints how many images of each class or label there are to train and to measure on, or the range of numbers: what is wrong
 * with labels is seen there.
 *
 *   480 images to train on, 120 to measure on: ring 48 + 12, disc 48 + 12, …
 *   480 images to train on, 120 to measure on; targets from 3 to 58, mean 24.1
 */
export function printTargets(platform: Platform, target: TargetCodec, labels: TargetNumbers, split: Split): void {
  const { vocab, columns } = target
  const start = `${split.train.length} images to train on, ${split.valid.length} to measure on`
  if (columns !== 'class' && columns !== vocab.length) {
    return printOnce(platform, `${start}; targets ${rangesText(target, labels, split.train)}`)
  }
  const [train, valid] = (['train', 'valid'] as const).map((side) =>
    columns === 'class' ? countsOf(labels, split[side], vocab.length) : labelCounts(target, labels, split[side]),
  )
  const text = (label: number) => `${vocab[label]} ${train[label]} + ${valid[label]}`
  const order = [...vocab.keys()]
  const bySize = order.toSorted((a, b) => train[a] - train[b])
  const listed =
    vocab.length <= LISTED
      ? order.map(text).join(', ')
      : `${vocab.length} classes, the smallest ${bySize.slice(0, SHOWN_OF_MANY).map(text).join(', ')}, ` +
        `the largest ${bySize.slice(-SHOWN_OF_MANY).reverse().map(text).join(', ')}`
  const unlabelled = columns === 'class' ? 0 : split.train.filter((item) => isEmpty(rowOf(labels, target, item))).length
  const lines = [
    `${start}: ${listed}${unlabelled > 0 ? `; ${unlabelled} to train on without any label` : ''}`,
    ...warnings(vocab, train),
  ].join('\n')
  printOnce(platform, lines)
}

function printOnce(platform: Platform, lines: string): void {
  if (printed.get(platform) === lines) return
  printed.set(platform, lines)
  for (const line of lines.split('\n')) platform.log(line)
}

const isEmpty = (row: TargetNumbers) => row.every((value) => value === 0)

/** Counts how many of some items have each label. */
function labelCounts(target: TargetCodec, labels: TargetNumbers, items: Uint32Array): Uint32Array {
  const counts = new Uint32Array(target.vocab.length)
  for (const item of items) rowOf(labels, target, item).forEach((value, label) => (counts[label] += Number(value > 0)))
  return counts
}

/** The range and mean of each number of the targets of some items. */
function rangesText(target: TargetCodec, labels: TargetNumbers, items: Uint32Array): string {
  const short = (value: number) => String(Number(value.toPrecision(3)))
  return Array.from({ length: Number(target.columns) }, (_, column) => {
    const values = Array.from(items, (item) => rowOf(labels, target, item)[column])
    const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))]
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    return `from ${short(low)} to ${short(high)}, mean ${short(mean)}`
  }).join('; ')
}

function warnings(vocab: readonly string[], train: Uint32Array): string[] {
  const found: string[] = []
  const alike = lookAlikes(vocab)
  if (alike.length > 0) {
    found.push(
      `classes whose names look alike: ${alike
        .slice(0, 5)
        .map((names) => names.map((name) => `'${name}'`).join(' and '))
        .join(', ')}`,
    )
  }
  if (vocab.every(isNumber)) found.push('all labels are numbers; they are names of classes here, not values')
  else if (vocab.length > 20 && train.reduce((sum, count) => sum + count, 0) < 2 * vocab.length) {
    found.push('there are fewer than two images of a class to train on: see whether getY gives classes')
  }
  return found
}

/** Names that are one to a reader: they differ in spaces, in letters that are not seen, or in capitals only. */
export function lookAlikes(vocab: readonly string[]): string[][] {
  const groups = new Map<string, string[]>()
  for (const name of vocab) {
    // Cf: letters that only guide how others are shown, such as a zero-width space.
    const seen = name
      .normalize('NFKC')
      .replace(/\p{Cf}/gu, '')
      .replace(/\s+/g, ' ')
      .trim()
      .toLowerCase()
    const group = groups.get(seen)
    if (group) group.push(name)
    else groups.set(seen, [name])
  }
  return [...groups.values()].filter((names) => names.length > 1)
}
