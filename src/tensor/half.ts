// IEEE 754 binary16 on the CPU, for uploads, read-backs and references (Node 20 has no Float16Array).
const float = new Float32Array(1)
const bits = new Uint32Array(float.buffer)

/** Returns the 16 bits of the nearest half, ties to even; infinity from 65520 on. */
export function floatToHalf(value: number): number {
  float[0] = value
  const sign = (bits[0] >>> 16) & 0x8000
  const magnitude = bits[0] & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00
  if (magnitude >= 0x477ff000) return sign | 0x7c00
  if (magnitude < 0x38800000) {
    // Below 2^-14 halves are multiples of 2^-24: adding 0.5 lets f32's own rounding do the work (its ulp there is 2^-24).
    float[0] = Math.abs(value) + 0.5
    return sign | (bits[0] - 0x3f000000)
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1)
  return sign | ((rounded - 0x38000000) >>> 13)
}

/** Returns the number that the 16 bits of a half represent. */
export function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >>> 10) & 0x1f
  const fraction = half & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** Rounds a number to the nearest half. */
export function roundToHalf(value: number): number {
  return halfToFloat(floatToHalf(value))
}

/** Converts the bits of bfloat16 numbers, which are the upper halves of f32, to f32. Source: Google, bfloat16 numerics. */
export function bfloatsToFloats(bits: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(bits, (upper) => upper << 16).buffer)
}

/** Converts f32 to the bits of the nearest bfloat16, ties to even; NaN stays NaN. */
export function floatsToBfloats(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.slice().buffer)
  return Uint16Array.from(words, (word, i) =>
    Number.isNaN(values[i]) ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16,
  )
}
