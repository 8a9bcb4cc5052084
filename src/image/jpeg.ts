/** Bytes of a JPEG file to RGB pixels, by jpeg-js, behind the checks and repairs that it lacks. */
import { DecodeError } from '../base/errors.ts'
import { decode as decodeJpegBytes } from '../vendor/jpeg-decoder.js'
import { hasRestarts, jpegBytes, lacksRestarts, repairJpeg, restoreRestarts, withoutFill } from './jpeg-repair.ts'
import { readJpeg, type JpegFile, type JpegFrame } from './jpeg-segments.ts'
import type { Orientation } from './orientation.ts'
import type { Pixels } from './pixels.ts'

/** Start-of-frame markers of baseline, extended and progressive Huffman coding. Source: ITU-T T.81, table B.1. */
const DCT_FRAMES: ReadonlySet<number> = new Set([0xc0, 0xc1, 0xc2])
/** Scans of a progressive file at most. Encoders write about ten; each goes through all blocks of its components. */
const MOST_SCANS = 100
/** Quantization and Huffman tables, as jpeg-js counts them; a file may define them anew before every scan. */
const TABLES_MIB = 4
/** Memory that jpeg-js takes for each byte that it asks for: its blocks are an array each. */
const TIMES_ASKED_FOR = 2.5

/** A JPEG file that passed the checks. */
export interface CheckedJpeg {
  readonly width: number
  readonly height: number
  readonly orientation: Orientation
  /** Number of colour components: 1 grey, 3 colours, 4 CMYK. */
  readonly components: number
  /** Memory that decoding takes, in bytes. */
  readonly neededBytes: number
  /**
   * The repaired file without metadata, in versions: the later ones are for the case that a decoder refuses those before.
   *
   * @throws Error  when it cannot be repaired
   */
  versions(): Iterable<Uint8Array>
  /** 8-bit RGBA pixels of a version as they are stored, alpha 255. @throws Error  when the data are damaged */
  decode(version: Uint8Array): Pixels
}

/**
 * Checks a JPEG file without decoding it.
 *
 * @param checkSize  called with the size before anything that takes time or memory
 * @throws DecodeError  for a kind of JPEG that the decoder does not read
 * @throws Error        when the file is damaged
 */
export function checkJpeg(
  path: string,
  bytes: Uint8Array,
  checkSize: (width: number, height: number) => void,
): CheckedJpeg {
  const jpeg = readJpeg(bytes)
  const { frame, orientation } = jpeg
  if (frame === undefined) throw new Error('it has no frame header')
  const { width, height, components } = frame
  checkSize(width, height)
  requireDecodable(path, frame)
  const complaint = complaintAbout(frame, jpeg.scans, bytes.length)
  if (complaint !== undefined) throw new Error(complaint)
  if (!jpeg.complete) throw new Error('it has no end')
  return {
    width,
    height,
    orientation,
    components: components.length,
    neededBytes: TIMES_ASKED_FOR * decoderBytes(frame),
    versions: () => repairedVersions(jpeg),
    decode: (version) => decodeVersion(version, jpeg, frame),
  }
}

function* repairedVersions(jpeg: JpegFile): Iterable<Uint8Array> {
  const segments = repairJpeg(jpeg)
  if (!lacksRestarts(segments, jpeg)) yield jpegBytes(segments)
  // Where all markers are there, they may not be where the intervals end.
  if (hasRestarts(segments, jpeg)) yield jpegBytes(restoreRestarts(segments, jpeg))
  const trimmed = withoutFill(segments)
  if (trimmed) yield jpegBytes(trimmed)
}

function requireDecodable(path: string, { marker, precision }: JpegFrame): void {
  if (DCT_FRAMES.has(marker) && precision === 8) return
  const kind = precision === 8 ? 'of a rare kind' : `of ${precision} bits for each colour`
  throw new DecodeError(path, `a JPEG ${kind} that is not read here`, {
    given: { frame: `FF ${marker.toString(16).toUpperCase()}, ${precision} bits` },
    expected: 'baseline or progressive, Huffman coded, 8 bits',
    fix: 'store it again as an ordinary JPEG or PNG.',
  })
}

function decodeVersion(version: Uint8Array, jpeg: JpegFile, frame: JpegFrame): Pixels {
  const { width, height, data } = decodeJpegBytes(version, {
    useTArray: true,
    // Lets grey files with restart markers through, which the strict setting rejects with a type error. All that is
    // tolerated is a restart interval that runs beyond the last block; a file cut short is refused all the same.
    tolerantDecoding: true,
    // Otherwise taken for YCbCr, which is what three components are unless the file says so.
    ...(isRgb(jpeg, frame) ? { colorTransform: false } : {}),
    // The caller checks the size, with a message that says so.
    maxResolutionInMP: Infinity,
    // Bound by the size of the frame that was checked, so that a second one takes no memory.
    maxMemoryUsageInMB: decoderBytes(frame) / 2 ** 20 + TABLES_MIB,
  })
  return { width, height, data }
}

/** Reason why a file cannot be what its frame header says, or nothing. Checked before memory is taken for it. */
function complaintAbout(frame: JpegFrame, scans: number, byteCount: number): string | undefined {
  const { components } = frame
  // Source: ITU-T T.81, table B.2.
  if (components.some(({ h, v }) => h < 1 || h > 4 || v < 1 || v > 4)) return 'a sampling factor is not 1 to 4'
  if (new Set(components.map(({ id }) => id)).size < components.length) return 'two components have one name'
  if (![1, 3, 4].includes(components.length)) return `it has ${components.length} colour components`
  if (scans > MOST_SCANS) return `it has ${scans} scans`
  // The shortest Huffman code has one bit, and every block has one.
  const blocks = blockCounts(frame).reduce((sum, { coded }) => sum + coded, 0)
  if (blocks > 8 * byteCount) return `it has ${byteCount} bytes, too few for ${frame.width} × ${frame.height} pixels`
  return undefined
}

/** Blocks of 8 × 8 numbers of each component: those that are coded, and with those that fill the last units. */
function blockCounts({ width, height, components }: JpegFrame): { readonly coded: number; readonly padded: number }[] {
  const [maxH, maxV] = [Math.max(...components.map(({ h }) => h)), Math.max(...components.map(({ v }) => v))]
  return components.map(({ h, v }) => ({
    coded: Math.ceil((Math.ceil(width / 8) * h) / maxH) * Math.ceil((Math.ceil(height / 8) * v) / maxV),
    padded: Math.ceil(width / 8 / maxH) * h * Math.ceil(height / 8 / maxV) * v,
  }))
}

/** Memory that jpeg-js asks for. Source: jpeg-js lib/decoder.js, requestMemoryAllocation. */
function decoderBytes(frame: JpegFrame): number {
  const planes = blockCounts(frame).reduce((sum, { coded, padded }) => sum + padded * 256 + coded * 64, 0)
  return planes + frame.width * frame.height * (frame.components.length + 4)
}

/** True if three components are plain RGB. Source: libjpeg jdapimin.c, default_decompress_parms. */
function isRgb({ jfif, adobeTransform }: JpegFile, { components }: JpegFrame): boolean {
  if (components.length !== 3 || jfif) return false
  return adobeTransform === undefined
    ? String.fromCharCode(...components.map(({ id }) => id)) === 'RGB'
    : adobeTransform === 0
}
