/**
 * Walk through the Huffman codes of a baseline scan, which finds where restart intervals end without their markers.
 *
 * Source: ITU-T T.81, annex C (tables), F.2.2 (decoding), E.1.4 (restart intervals).
 */
import { isRestart } from './jpeg-segments.ts'

/** A table that turns codes into symbols. */
export interface HuffmanTable {
  /** Largest code of each length from 1 to 16; −1 where no code has that length. */
  readonly largest: Int32Array
  /** Index of the symbol of a code of a length: code + offset. */
  readonly offset: Int32Array
  readonly symbols: Uint8Array
}

/** A table from the number of codes of each length, 1 to 16, and their symbols in order. Source: T.81, annex C. */
export function huffmanTable(counts: Uint8Array, symbols: Uint8Array): HuffmanTable {
  const largest = new Int32Array(17).fill(-1)
  const offset = new Int32Array(17)
  for (let length = 1, code = 0, index = 0; length <= 16; length++, code <<= 1) {
    const count = counts[length - 1]
    offset[length] = index - code
    index += count
    code += count
    if (count > 0) largest[length] = code - 1
  }
  return { largest, offset, symbols }
}

/** Tables of the blocks of one unit (MCU) of a scan, in their order. */
export type Unit = readonly { readonly dc: HuffmanTable; readonly ac: HuffmanTable }[]

const END_OF_BLOCK = 0x00
const SIXTEEN_ZEROS = 0xf0

/** Reader of one scan's entropy-coded data. */
export class ScanReader {
  /** Offset of the next byte. */
  at: number
  private readonly data: Uint8Array
  private bits = 0
  private bitCount = 0

  constructor(data: Uint8Array, at = 0) {
    this.data = data
    this.at = at
  }

  /**
   * Passes over units, and over the bits that fill their last byte, which are ones.
   *
   * @throws Error  when the data end before them, hold a code that is not in the table, or are filled with other bits
   */
  skip(unit: Unit, count: number): void {
    for (let i = 0; i < count; i++) for (const { dc, ac } of unit) this.skipBlock(dc, ac)
    const fill = (1 << this.bitCount) - 1
    if ((this.bits & fill) !== fill) throw new Error('its restart intervals do not end where they should')
    this.bitCount = 0
  }

  private skipBlock(dc: HuffmanTable, ac: HuffmanTable): void {
    this.read(this.symbol(dc))
    for (let k = 1; k < 64; k++) {
      const symbol = this.symbol(ac)
      if ((symbol & 15) === 0) {
        if (symbol === END_OF_BLOCK) return
        if (symbol !== SIXTEEN_ZEROS) throw new Error('it holds a code that no baseline file has')
      }
      k += symbol >> 4
      this.read(symbol & 15)
    }
  }

  private symbol({ largest, offset, symbols }: HuffmanTable): number {
    let code = 0
    for (let length = 1; length <= 16; length++) {
      code = (code << 1) | this.read(1)
      if (code <= largest[length]) return symbols[code + offset[length]]
    }
    throw new Error('it holds a code that is not in its table')
  }

  private read(count: number): number {
    while (this.bitCount < count) {
      const byte = this.data[this.at]
      // A byte FF of data has a zero behind it; anything else is a marker.
      if (byte === undefined || (byte === 0xff && this.data[this.at + 1] !== 0)) throw new Error('data are missing')
      this.at += byte === 0xff ? 2 : 1
      this.bits = ((this.bits << 8) | byte) & 0xffffff
      this.bitCount += 8
    }
    this.bitCount -= count
    return (this.bits >> this.bitCount) & ((1 << count) - 1)
  }
}

/** Offset of the next restart marker from `from` on, or the length of the data. */
export function nextRestart(data: Uint8Array, from: number): number {
  for (let at = data.indexOf(0xff, from); at >= 0; at = data.indexOf(0xff, at + 1)) {
    if (isRestart(data[at + 1])) return at
  }
  return data.length
}
