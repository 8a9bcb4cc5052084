/**
 * Repairs of JPEG files that other programs read as well: each puts right what the file states, none makes up pixels.
 *
 * - Bytes that belong to no segment are left out, and segments that do not matter to the pixels: comments, metadata.
 * - Missing Huffman tables are those of annex K, as in the frames of a Motion JPEG video.
 * - Four components without an Adobe segment are CMYK, inverted as Adobe's programs store it.
 * - Lost restart markers are put back where the intervals end, which their codes tell.
 *
 * Source: libjpeg-turbo jdmarker.c and jstdhuff.c; Pillow JpegImagePlugin.py ("assume adobe conventions").
 */
import { joined } from '../base/join.ts'
import { huffmanTable, nextRestart, ScanReader, type HuffmanTable, type Unit } from './huffman.ts'
import { isFrame, isRestart, MARKERS, startsWith, uint16, type JpegFile, type Segment } from './jpeg-segments.ts'

/** Segments without which a file has other pixels, or none. */
const NEEDED: ReadonlySet<number> = new Set([
  MARKERS.defineHuffman,
  MARKERS.defineQuantization,
  MARKERS.restartInterval,
  MARKERS.numberOfLines,
  MARKERS.startOfScan,
])

/** The file with every repair except that of restart markers. */
export function repairJpeg({ segments, frame, adobeTransform }: JpegFile): Segment[] {
  const kept = segments.filter(
    ({ marker, body }) =>
      NEEDED.has(marker) ||
      isFrame(marker) ||
      (marker === MARKERS.app0 && startsWith(body, 'JFIF\0')) ||
      (marker === MARKERS.adobe && startsWith(body, 'Adobe')),
  )
  const firstScan = kept.findIndex(({ marker }) => marker === MARKERS.startOfScan)
  const defined = new Set(kept.slice(0, Math.max(0, firstScan)).flatMap((segment) => [...tablesOf(segment).keys()]))
  const missing = STANDARD_TABLES.filter(({ id }) => !defined.has(id))
  // A progressive file has tables of its own for every scan, which none of annex K would fit.
  if (firstScan >= 0 && frame !== undefined && frame.marker !== PROGRESSIVE && missing.length > 0) {
    kept.splice(
      firstScan,
      0,
      segmentOf(
        MARKERS.defineHuffman,
        missing.flatMap(({ id, bytes }) => [id, ...bytes]),
      ),
    )
  }
  return frame?.components.length === 4 && adobeTransform === undefined ? [ADOBE_CMYK, ...kept] : kept
}

/**
 * The file with the restart markers that its scans lack, and without bytes that stand before one.
 *
 * @returns  the same segments where nothing is lost
 * @throws Error  when more than a marker is lost: the pixels would have to be made up
 */
export function restoreRestarts(segments: readonly Segment[], file: JpegFile): readonly Segment[] {
  let interval = 0
  const tables = new Map<number, HuffmanTable>()
  return segments.flatMap((segment) => {
    const { marker, body, coded } = segment
    if (marker === MARKERS.restartInterval) interval = uint16(body, 0)
    for (const [id, table] of tablesOf(segment)) tables.set(id, table)
    if (marker !== MARKERS.startOfScan || interval === 0) return [segment]
    const units = unitsOf(file, body, tables)
    try {
      return [{ ...segment, coded: withRestarts(coded, units, interval) }]
    } catch (error) {
      if (!isUndivided(coded, units)) throw error
      return [segmentOf(MARKERS.restartInterval, [0, 0]), segment]
    }
  })
}

/** True if a baseline scan has not the restart markers that its restart interval asks for. */
export function lacksRestarts(segments: readonly Segment[], file: JpegFile): boolean {
  if (!hasRestarts(segments, file)) return false
  let interval = 0
  for (const { marker, body, coded } of segments) {
    if (marker === MARKERS.restartInterval) interval = uint16(body, 0)
    if (marker !== MARKERS.startOfScan || interval === 0) continue
    const { count } = scanSize(file, body)
    let number = 0
    for (let at = nextRestart(coded, 0); at < coded.length; at = nextRestart(coded, at + 2), number++) {
      if (coded[at + 1] !== MARKERS.restart + (number & 7)) return true
    }
    if (number < Math.ceil(count / interval) - 1) return true
  }
  return false
}

/** True if the file is divided by restart markers in a way that they can be restored. */
export function hasRestarts(segments: readonly Segment[], { frame }: JpegFile): boolean {
  return frame?.marker !== PROGRESSIVE && segments.some(({ marker }) => marker === MARKERS.restartInterval)
}

/** Bytes of a file of these segments. */
export function jpegBytes(segments: readonly Segment[]): Uint8Array {
  const length = segments.reduce((sum, { body, coded }) => sum + 4 + body.length + coded.length, 4)
  const bytes = new Uint8Array(length)
  bytes.set([0xff, MARKERS.startOfImage])
  let at = 2
  for (const { marker, body, coded } of segments) {
    bytes.set([0xff, marker, (body.length + 2) >> 8, (body.length + 2) & 255], at)
    bytes.set(body, at + 4)
    bytes.set(coded, at + 4 + body.length)
    at += 4 + body.length + coded.length
  }
  bytes.set([0xff, MARKERS.endOfImage], at)
  return bytes
}

const PROGRESSIVE = 0xc2

function segmentOf(marker: number, body: readonly number[]): Segment {
  return { marker, body: Uint8Array.from(body), coded: new Uint8Array() }
}

/** Version 100, no flags, transform 0: four inverted colours. Source: Adobe technical note 5116. */
const ADOBE_CMYK = segmentOf(MARKERS.adobe, [...Array.from('Adobe', (c) => c.charCodeAt(0)), 0, 100, 0, 0, 0, 0, 0])

/** Tables that a DHT segment defines, by class (0 DC, 16 AC) plus number. */
function tablesOf({ marker, body }: Segment): Map<number, HuffmanTable> {
  const tables = new Map<number, HuffmanTable>()
  if (marker !== MARKERS.defineHuffman) return tables
  for (let at = 0; at + 17 <= body.length;) {
    const counts = body.subarray(at + 1, at + 17)
    const end = at + 17 + counts.reduce((sum, count) => sum + count, 0)
    tables.set(body[at], huffmanTable(counts, body.subarray(at + 17, end)))
    at = end
  }
  return tables
}

/** Number of units (MCUs) of a scan, and the blocks of one: component and table numbers. Source: T.81, A.2. */
function scanSize({ frame }: JpegFile, header: Uint8Array) {
  const { width = 0, height = 0, components = [] } = frame ?? {}
  const [maxH, maxV] = [Math.max(...components.map(({ h }) => h)), Math.max(...components.map(({ v }) => v))]
  const selected = Array.from({ length: header[0] }, (_, i) => ({
    component: components.find(({ id }) => id === header[1 + 2 * i]),
    tables: header[2 + 2 * i],
  }))
  if (selected.length === 1) {
    // Blocks of a single component are not gathered in units, and do not fill the last ones.
    const { h = 1, v = 1 } = selected[0].component ?? {}
    const [columns, rows] = [Math.ceil((width * h) / (8 * maxH)), Math.ceil((height * v) / (8 * maxV))]
    return { count: columns * rows, blocks: [selected[0].tables] }
  }
  return {
    count: Math.ceil(width / (8 * maxH)) * Math.ceil(height / (8 * maxV)),
    blocks: selected.flatMap(({ component, tables }) =>
      new Array<number>((component?.h ?? 0) * (component?.v ?? 0)).fill(tables),
    ),
  }
}

function unitsOf(file: JpegFile, header: Uint8Array, tables: ReadonlyMap<number, HuffmanTable>): Units {
  const { count, blocks } = scanSize(file, header)
  const tableOf = (id: number): HuffmanTable => {
    const table = tables.get(id)
    if (table === undefined) throw new Error('a scan uses a Huffman table that is not there')
    return table
  }
  return { count, unit: blocks.map((numbers) => ({ dc: tableOf(numbers >> 4), ac: tableOf(16 + (numbers & 15)) })) }
}

/** Bytes behind the last unit that encoders leave; more would be units that were not read. */
const FILL_BYTES = 4

interface Units {
  readonly unit: Unit
  readonly count: number
}

/** True if a scan ignores its restart interval: without a marker its units follow each other bit by bit to the end. */
function isUndivided(data: Uint8Array, { unit, count }: Units): boolean {
  if (nextRestart(data, 0) < data.length) return false
  const reader = new ScanReader(data)
  try {
    reader.skip(unit, count)
  } catch {
    return false
  }
  return data.length - reader.at <= FILL_BYTES
}

/** The segments without zero bytes behind the data of their scans, which decoders count as damage; `undefined` without any. */
export function withoutFill(segments: readonly Segment[]): readonly Segment[] | undefined {
  const trimmed = segments.map((segment) => {
    const { coded } = segment
    let end = coded.length
    // A zero behind FF belongs to the data.
    while (end > 1 && coded[end - 1] === 0 && coded[end - 2] !== 0xff) end--
    return end === coded.length ? segment : { ...segment, coded: coded.subarray(0, end) }
  })
  return trimmed.some((segment, i) => segment !== segments[i]) ? trimmed : undefined
}

/** Entropy-coded data with all restart markers. */
function withRestarts(data: Uint8Array, { unit, count }: Units, interval: number): Uint8Array {
  const parts: Uint8Array[] = []
  const reader = new ScanReader(data)
  for (let done = 0, number = 0; done < count; done += interval, number = (number + 1) & 7) {
    const start = reader.at
    reader.skip(unit, Math.min(interval, count - done))
    parts.push(data.subarray(start, reader.at))
    if (done + interval >= count) break
    parts.push(Uint8Array.of(0xff, MARKERS.restart + number))
    const next = nextRestart(data, reader.at)
    const isNext = next === reader.at
    // A marker of the expected number further on: what is before it belongs to no interval.
    if (isNext || data[next + 1] === MARKERS.restart + number) reader.at = next + 2
  }
  const left = data.length - reader.at
  // Without any marker, only that the last unit ends with the data shows that the intervals were found.
  const mostLeft = nextRestart(data, 0) < data.length ? FILL_BYTES : 0
  if (left > mostLeft && !isRestart(data[reader.at + 1])) throw new Error('data are left behind its last unit')
  return joined(Uint8Array, parts)
}

/** Codes by length and symbols, in hex. Source: ITU-T T.81, tables K.3 to K.6. */
const STANDARD_TABLES = [
  { id: 0x00, hex: '00010501010101010100000000000000' + '000102030405060708090a0b' },
  {
    id: 0x10,
    hex:
      '0002010303020403050504040000017d' +
      '01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738' +
      '393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5' +
      'a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa',
  },
  { id: 0x01, hex: '00030101010101010101010000000000' + '000102030405060708090a0b' },
  {
    id: 0x11,
    hex:
      '00020102040403040705040400010277' +
      '000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a353637' +
      '38393a434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999aa2a3' +
      'a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa',
  },
].map(({ id, hex }) => ({ id, bytes: hex.match(/../g)?.map((byte) => Number.parseInt(byte, 16)) ?? [] }))
