import { DataError, DecodeError } from '../base/errors.ts'
import type { DecodePool, FileGlance, Files, Platform } from '../platform/platform.ts'
import { checkKind } from '../image/image-kind.ts'
import type { Split } from './splitters.ts'

/** Files that are looked at before training, at most: each is opened, which a network makes slow. */
const MOST_LOOKED_AT = 100_000
/** Length of the longest signature that `checkKind` knows, rounded up. */
const SIGNATURE_BYTES = 16
/** Files of one size that begin with the same bytes are compared to their end. */
export const COMPARED_BYTES = 4096
/** Pairs of equal files that are looked for, at most. */
const MOST_PAIRS = 1000

/** Part of the files that may be unreadable; a data set with more is not what it should be. */
const TOLERATED_PART = 0.01

/** Number of files that may be left out: one in a hundred, and always one. */
export function tolerated(files: number): number {
  return Math.max(1, Math.floor(TOLERATED_PART * files))
}

/** @throws DataError  when too many files cannot be read, with what is wrong with the first of them */
export function requireReadable(unreadable: readonly string[], files: number, most: number): void {
  if (unreadable.length <= most) return
  // The log has the whole message of each.
  const some = unreadable.slice(0, 5).map((text, i) => [` ${i + 1}`, text.split('\n')[0]] as const)
  throw new DataError('data set', 'too many images cannot be decoded', {
    given: { unreadable: `${unreadable.length} of ${files}, the first of them:`, ...Object.fromEntries(some) },
    expected: 'at most one in a hundred',
    fix: 'get the files again, or leave these out',
  })
}

/**
 * A split without the files that do not begin as images that can be decoded do, which are named in the log. So are files
 * that cannot be read, which stay, as the reason may pass, and files that are on both sides, by a link or as a copy: a
 * model knows them already when it is measured on them. Nothing is looked at where a platform cannot do so cheaply.
 *
 * @throws DataError  when more than one in a hundred cannot be read, and more than one, or a side has no other files
 */
export async function checkFiles(
  platform: Pick<Platform, 'files' | 'log'> & { readonly decoder?: Pick<DecodePool, 'formats'> },
  items: readonly string[],
  split: Split,
): Promise<Split> {
  const { files } = platform
  if (!files.glance) return split
  const formats = await platform.decoder?.formats?.()
  const count = split.train.length + split.valid.length
  const seen = new Map<number, FileGlance>()
  const bad: string[] = []
  const undecodable = new Set<number>()
  for (const item of [split.valid, split.train].flatMap((side) => [...side]).slice(0, MOST_LOOKED_AT)) {
    try {
      const glance = await files.glance(items[item], SIGNATURE_BYTES)
      if (!glance) continue
      checkKind(items[item], glance.start, formats)
      seen.set(item, glance)
    } catch (error) {
      if (!(error instanceof DataError)) throw error
      bad.push(error.message)
      const out = error instanceof DecodeError
      if (out) undecodable.add(item)
      if (bad.length <= tolerated(count)) platform.log(`${out ? 'left out' : 'cannot be read now'}: ${error.message}`)
    }
  }
  if (count > MOST_LOOKED_AT) platform.log(`the first ${MOST_LOOKED_AT} of ${count} files were looked at`)
  requireReadable(bad, count, tolerated(count))
  const others = (side: Uint32Array) => side.filter((item) => !undecodable.has(item))
  const kept = { train: others(split.train), valid: others(split.valid) }
  if (kept.train.length === 0 || kept.valid.length === 0) requireReadable(bad, count, 0)
  const twins = await findTwins(files, items, kept, seen)
  if (twins.length > 0) {
    const some = twins
      .slice(0, 3)
      .map(([valid, train]) => `${items[valid]} = ${items[train]}`)
      .join(', ')
    platform.log(
      `${twins.length}${twins.length === MOST_PAIRS ? ' or more' : ''} of ${kept.valid.length} images to measure on are trained on too, ` +
        `which makes results look better than they are: ${some}${twins.length > 3 ? ', …' : ''}`,
    )
  }
  return kept
}

/** Files to measure on, each with an equal one to train on. */
async function findTwins(
  files: Files,
  items: readonly string[],
  { train, valid }: Split,
  seen: ReadonlyMap<number, FileGlance>,
): Promise<(readonly [valid: number, train: number])[]> {
  const sizesOf = (side: Uint32Array) => new Set(Array.from(side, (item) => seen.get(item)?.sizeBytes))
  const [trainSizes, validSizes] = [sizesOf(train), sizesOf(valid)]
  const byId = new Map<string, number>()
  const byBegin = new Map<string, number[]>()
  const beginOf = async (item: number, size: number) => {
    const glance = await files.glance?.(items[item], COMPARED_BYTES)
    return glance ? beginKey(glance) : `${size}`
  }
  for (const item of train) {
    const glance = seen.get(item)
    if (!glance || !validSizes.has(glance.sizeBytes)) continue
    byId.set(glance.id, item)
    const begin = await beginOf(item, glance.sizeBytes)
    const alike = byBegin.get(begin)
    if (alike) alike.push(item)
    else byBegin.set(begin, [item])
  }
  const twins: (readonly [valid: number, train: number])[] = []
  for (const item of valid) {
    const glance = seen.get(item)
    if (!glance || !trainSizes.has(glance.sizeBytes) || twins.length === MOST_PAIRS) continue
    let twin = byId.get(glance.id)
    // Compared with the first few only: files of one hash are equal except by chance.
    const alike = twin === undefined ? (byBegin.get(await beginOf(item, glance.sizeBytes)) ?? []) : []
    for (const other of alike.slice(0, 3)) {
      if (twin === undefined && (await sameBytes(files, items[item], items[other]))) twin = other
    }
    if (twin !== undefined) twins.push([item, twin])
  }
  return twins
}

/** Key of a file by its size and its first bytes: files with different keys differ. */
export function beginKey({ sizeBytes, start }: Pick<FileGlance, 'sizeBytes' | 'start'>): string {
  return `${sizeBytes} ${hash(start)}`
}

/** Source: Fowler, Noll & Vo, "The FNV Non-Cryptographic Hash Algorithm", FNV-1a of 32 bits. */
function hash(bytes: Uint8Array): number {
  // From a signed number, and not by `for … of`: 4 KB take 6 µs of Node 20 so, otherwise 20 to 45.
  let value = 0x811c9dc5 | 0
  for (let i = 0; i < bytes.length; i++) value = Math.imul(value ^ bytes[i], 0x01000193)
  return value
}

async function sameBytes(files: Files, a: string, b: string): Promise<boolean> {
  const [first, second] = await Promise.all([files.read(a), files.read(b)])
  return first.length === second.length && first.every((byte, i) => byte === second[i])
}
