import { deflateSync, inflateSync } from 'node:zlib'
import type { Rng } from '../../src/base/rng.ts'
import { crc32 } from '../../src/base/crc32.ts'

/** Function that changes a file slightly, at random. */
export type Mutation = (bytes: Uint8Array, random: Rng) => Uint8Array

/** Numbers at the limits of fields; 0x20002000 means two sides of 8192, an image of 67 megapixels. */
const EDGES = [
  0, 1, 0x7f, 0x80, 0xfe, 0xff, 0x7fff, 0x8000, 0xffff, 0x20002000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
]

/** Valid JSON whose nesting overflows the stack of a recursive parser. */
const NESTED = '['.repeat(200_000) + ']'.repeat(200_000)

/** Values and text fragments that readers stumble over. */
const TOKENS = [
  'null',
  'true',
  '-1',
  '0',
  '1e999',
  '1e-999',
  '9007199254740993',
  '99999999999999999999',
  'NaN',
  '"',
  '\\',
  '\\u0000',
  '\0',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '""',
  '[]',
  '{}',
  '"__proto__"',
  '"constructor"',
  '"$number"',
  '{"$number":"NaN"}',
  '\r',
  '\n',
  '\r\n',
  '"""',
  '\ufeff',
  '../',
  '/',
  '//',
  './',
  'https://',
  'file:///',
  'é',
  'e\u0301',
  '\u202e',
  '\x1b[2J',
  ' ',
  '\t',
  'x'.repeat(70_000),
  '['.repeat(20_000),
  '{"a":'.repeat(20_000),
  NESTED,
  ',\n'.repeat(5000),
]

/** Mutates bits, bytes, numbers and fragments, as may happen to any file. */
export const bytesMutation: Mutation = (bytes, random) => {
  let changed: Uint8Array = bytes.slice()
  for (let left = random.integer(1, random.bernoulli(0.7) ? 3 : 30); left > 0; left--) {
    if (random.bernoulli(0.05)) writeFrameSize(changed)
    const { length } = changed
    const at = length === 0 ? 0 : random.integer(0, length - 1)
    const end = Math.min(length, at + random.integer(1, random.bernoulli(0.5) ? 8 : 400))
    switch (random.integer(0, 7)) {
      case 0:
        changed[at] ^= 1 << random.integer(0, 7)
        break
      case 1:
        changed[at] = random.integer(0, 255)
        break
      case 2:
        changed = changed.slice(0, at)
        break
      case 3:
        changed = joined(changed.subarray(0, at), changed.subarray(end))
        break
      case 4:
        changed = joined(changed.subarray(0, end), changed.subarray(at))
        break
      case 5:
        changed = joined(changed.subarray(0, at), noise(random, random.integer(1, 40)), changed.subarray(at))
        break
      case 6:
        changed.copyWithin(at, random.integer(0, Math.max(0, length - 1)), end)
        break
      case 7:
        writeNumber(
          changed,
          at,
          EDGES[random.integer(0, EDGES.length - 1)],
          [1, 2, 4, 8][random.integer(0, 3)],
          random.bernoulli(0.5),
        )
    }
  }
  return changed
}

/**
 * Mutates a file as text: removes, inserts or repeats a fragment, or replaces a number; otherwise mutates its bytes.
 */
export const textMutation: Mutation = (bytes, random) => {
  if (random.bernoulli(0.3)) return bytesMutation(bytes, random)
  let text = Buffer.from(bytes).toString('utf8')
  for (let left = random.integer(1, 3); left > 0; left--) {
    const places = [...text.matchAll(/-?\d+(\.\d+)?|"[^"]*"|[[\]{},:\n]/g)]
    const place = places[random.integer(0, Math.max(0, places.length - 1))]
    const token = TOKENS[random.integer(0, TOKENS.length - 1)]
    const at = place?.index ?? 0
    const end = at + (place?.[0].length ?? 0)
    const instead = [token, '', place?.[0].repeat(2) ?? '', token + (place?.[0] ?? '')][random.integer(0, 3)]
    text = text.slice(0, at) + instead + text.slice(end)
  }
  return new Uint8Array(Buffer.from(text, 'utf8'))
}

/**
 * Mutates a PNG, half of the time with corrected checksums, half of those within the compressed rows, which few random
 * changes reach.
 */
export const pngMutation: Mutation = (bytes, random) => {
  if (random.bernoulli(0.3)) return bytesMutation(bytes, random)
  if (random.bernoulli(0.5)) return withChecksums(bytesMutation(bytes, random))
  return withChecksums(withRows(bytes, (rows) => bytesMutation(rows, random)))
}

/** Mutates a safetensors file, half of the time with a header of the declared length. */
export const safetensorsMutation: Mutation = (bytes, random) => {
  if (random.bernoulli(0.4)) return bytesMutation(bytes, random)
  const headerLength = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))
  const header = textMutation(bytes.subarray(8, 8 + headerLength), random)
  const length = new Uint8Array(8)
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true)
  return joined(length, header, bytes.subarray(8 + headerLength))
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

function noise(random: Rng, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.integer(0, 255))
}

function writeNumber(bytes: Uint8Array, at: number, value: number, size: number, little: boolean): void {
  for (let i = 0; i < size && at + i < bytes.length; i++) {
    const shift = little ? i : size - 1 - i
    bytes[at + i] = shift > 3 ? 0 : value >>> (8 * shift)
  }
}

/** Sets the size of a JPEG to 67 megapixels, which random changes rarely produce. */
function writeFrameSize(bytes: Uint8Array): void {
  const frame = bytes.findIndex((byte, i) => byte === 0xff && (bytes[i + 1] === 0xc0 || bytes[i + 1] === 0xc2))
  if (frame >= 0) writeNumber(bytes, frame + 5, 0x20002000, 4, false)
}

interface Chunk {
  readonly at: number
  readonly end: number
  readonly type: string
}

function chunksOf(bytes: Uint8Array): Chunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const chunks: Chunk[] = []
  for (let at = 8; at + 12 <= bytes.length;) {
    const end = at + 12 + view.getUint32(at)
    if (end > bytes.length) break
    chunks.push({ at, end, type: Buffer.from(bytes.subarray(at + 4, at + 8)).toString('latin1') })
    at = end
  }
  return chunks
}

function withChecksums(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (const { at, end } of chunksOf(bytes)) view.setUint32(end - 4, crc32(bytes.subarray(at + 4, end - 4)))
  return bytes
}

function withRows(bytes: Uint8Array, change: (rows: Uint8Array) => Uint8Array): Uint8Array {
  const data = chunksOf(bytes).find(({ type }) => type === 'IDAT')
  if (!data) return bytes
  const rows = deflateSync(change(new Uint8Array(inflateSync(bytes.subarray(data.at + 8, data.end - 4)))))
  const length = new Uint8Array(4)
  new DataView(length.buffer).setUint32(0, rows.length)
  return joined(
    bytes.subarray(0, data.at),
    length,
    bytes.subarray(data.at + 4, data.at + 8),
    rows,
    bytes.subarray(data.end - 4),
  )
}
