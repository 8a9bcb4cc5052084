/** CRC remainder of every byte value. Source: PNG specification, annex D, "Sample CRC implementation". */
const REMAINDERS = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? 0xedb88320 ^ (remainder >>> 1) : remainder >>> 1
  return remainder
})

/** Returns the CRC-32 of bytes, as stored in PNG chunks and zip archives. */
export function crc32(bytes: Uint8Array): number {
  let remainder = 0xffffffff
  for (let i = 0; i < bytes.length; i++) remainder = REMAINDERS[(remainder ^ bytes[i]) & 0xff] ^ (remainder >>> 8)
  return ~remainder >>> 0
}
