/**
 * Segments of a JPEG file as libjpeg finds them: bytes that belong to no segment are passed over.
 *
 * Source: ITU-T T.81, annex B; libjpeg jdmarker.c, next_marker.
 */
import { exifOrientation, type Orientation } from './orientation.ts'

/** Markers. Source: ITU-T T.81, table B.1. */
export const MARKERS = {
  defineHuffman: 0xc4,
  restart: 0xd0,
  startOfImage: 0xd8,
  endOfImage: 0xd9,
  startOfScan: 0xda,
  defineQuantization: 0xdb,
  numberOfLines: 0xdc,
  restartInterval: 0xdd,
  app0: 0xe0,
  app1: 0xe1,
  adobe: 0xee,
} as const

/** In the range of the start-of-frame markers, but tables (DHT), reserved (JPG) and arithmetic conditioning (DAC). */
const NOT_FRAMES: ReadonlySet<number> = new Set([0xc4, 0xc8, 0xcc])
/** A marker of its own, without a length behind it (TEM). */
const TEMPORARY = 0x01

/** One segment of a file. */
export interface Segment {
  readonly marker: number
  /** Content behind marker and length. */
  readonly body: Uint8Array
  /** Entropy-coded data behind the header of a scan, restart markers included; empty for other segments. */
  readonly coded: Uint8Array
}

export interface JpegFrame {
  readonly marker: number
  readonly precision: number
  readonly width: number
  readonly height: number
  /** Samples of a component in each direction, relative to the others. */
  readonly components: readonly { readonly id: number; readonly h: number; readonly v: number }[]
}

/** A JPEG file taken apart. */
export interface JpegFile {
  readonly segments: readonly Segment[]
  /** True if the end marker is there. */
  readonly complete: boolean
  /** Frame header, the last before the first scan; `undefined` in a file without one. */
  readonly frame: JpegFrame | undefined
  readonly scans: number
  readonly jfif: boolean
  /** Colour transform of the Adobe segment, 0: none, 1: YCbCr, 2: YCCK; absent without such a segment. */
  readonly adobeTransform: number | undefined
  readonly orientation: Orientation
}

/** True for restart markers RST0 to RST7. */
export function isRestart(marker: number): boolean {
  return marker >= 0xd0 && marker <= 0xd7
}

/** True for the markers that begin a frame. */
export function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && !NOT_FRAMES.has(marker)
}

/** Takes a file apart. A segment that reaches beyond the end of the file ends the list. */
export function readJpeg(bytes: Uint8Array): JpegFile {
  const segments: Segment[] = []
  let complete = false
  for (let at = 2; at + 1 < bytes.length;) {
    const marker = bytes[at + 1]
    // Any number of FF may fill the space before a marker; no segment begins with FF 00 or a restart marker.
    if (bytes[at] !== 0xff || marker === 0xff || marker === 0 || isRestart(marker)) {
      at++
      continue
    }
    if (marker === MARKERS.endOfImage) {
      complete = true
      break
    }
    const length = marker === TEMPORARY || marker === MARKERS.startOfImage ? 0 : uint16(bytes, at + 2)
    const end = at + 2 + length
    if (end > bytes.length) break
    if (length < 2) {
      at += 2
      continue
    }
    const codedEnd = marker === MARKERS.startOfScan ? endOfScan(bytes, end) : end
    segments.push({ marker, body: bytes.subarray(at + 4, end), coded: bytes.subarray(end, codedEnd) })
    at = codedEnd
  }
  return { segments, complete, ...factsOf(segments) }
}

/** Offset of the marker behind the entropy-coded data that begins at `from`, or the length of the file. */
function endOfScan(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(0xff, from); at >= 0; at = bytes.indexOf(0xff, at + 1)) {
    const next = bytes[at + 1]
    if (next === undefined) break
    if (next !== 0 && next !== 0xff && !isRestart(next)) return at
  }
  return bytes.length
}

/** Frame, colours and orientation from the segments before the first scan, and the number of scans. */
function factsOf(segments: readonly Segment[]): Omit<JpegFile, 'segments' | 'complete'> {
  let frame: JpegFrame | undefined
  let scans = 0
  let jfif = false
  let adobeTransform: number | undefined
  let orientation: Orientation = 1
  for (const { marker, body } of segments) {
    if (marker === MARKERS.startOfScan) scans++
    if (scans > 0) continue
    if (marker === MARKERS.app0 && startsWith(body, 'JFIF\0')) jfif = true
    if (marker === MARKERS.adobe && startsWith(body, 'Adobe')) adobeTransform = body[11]
    if (marker === MARKERS.app1 && startsWith(body, 'Exif\0\0') && orientation === 1) {
      orientation = exifOrientation(body.subarray(6))
    }
    if (isFrame(marker) && body.length >= 6) frame = frameOf(marker, body)
  }
  return { frame, scans, jfif, adobeTransform, orientation }
}

function frameOf(marker: number, body: Uint8Array): JpegFrame {
  const components = Array.from({ length: body[5] }, (_, i) => {
    const sampling = body[7 + i * 3]
    return { id: body[6 + i * 3], h: sampling >> 4, v: sampling & 15 }
  })
  return { marker, precision: body[0], height: uint16(body, 1), width: uint16(body, 3), components }
}

export function startsWith(bytes: Uint8Array, text: string): boolean {
  return Array.from(text).every((c, i) => bytes[i] === c.charCodeAt(0))
}

export function uint16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1]
}
