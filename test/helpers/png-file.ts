import { deflateSync } from 'node:zlib'
import { crc32 } from '../../src/base/crc32.ts'

export interface PngParts {
  readonly width: number
  readonly height: number
  readonly depth: number
  readonly colourType: number
  readonly interlaced?: boolean
  /** Rows as they are stored: each a byte for its filter, then its samples. */
  readonly rows: Uint8Array
  readonly palette?: Uint8Array
}

/** A PNG file of these parts, whether they fit each other or not. */
export function pngFile({ width, height, depth, colourType, interlaced = false, rows, palette }: PngParts): Uint8Array {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width)
  header.writeUInt32BE(height, 4)
  header.set([depth, colourType, 0, 0, Number(interlaced)], 8)
  return Uint8Array.from(
    Buffer.concat([
      Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
      chunk('IHDR', header),
      ...(palette ? [chunk('PLTE', palette)] : []),
      chunk('IDAT', deflateSync(rows)),
      chunk('IEND', new Uint8Array()),
    ]),
  )
}

function chunk(type: string, content: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), content])
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(content.length)
  checksum.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, checksum])
}
