/**
 * Returns the CRC remainder of every byte value for a polynomial, its bits reversed.
 *
 * Source: PNG specification, annex D, "Sample CRC implementation".
 */
function remaindersOf(polynomial: number): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let remainder = byte
    for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? polynomial ^ (remainder >>> 1) : remainder >>> 1
    return remainder
  })
}

const REMAINDERS = remaindersOf(0xedb88320)
const CASTAGNOLI = remaindersOf(0x82f63b78)

/** Returns the CRC-32 of bytes, as stored in PNG chunks and zip archives. */
export function crc32(bytes: Uint8Array): number {
  return remainderOf(bytes, REMAINDERS)
}

/** Returns the CRC-32C of bytes (Castagnoli), as stored in TFRecord files. Source: RFC 3720, appendix B.4. */
export function crc32c(bytes: Uint8Array): number {
  return remainderOf(bytes, CASTAGNOLI)
}

function remainderOf(bytes: Uint8Array, remainders: Uint32Array): number {
  let remainder = 0xffffffff
  for (let i = 0; i < bytes.length; i++) remainder = remainders[(remainder ^ bytes[i]) & 0xff] ^ (remainder >>> 8)
  return ~remainder >>> 0
}
