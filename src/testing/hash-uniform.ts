/**
 * Returns `count` numbers of [low, high) that are the same in every language: element i of seed s is lowbias32 (Wellons 2018) of
 * i + s·0x9E3779B9, over 2^32, scaled in f64 and rounded to f32.
 */
export function hashUniform(count: number, seed: number, low = 0, high = 1): Float32Array {
  const offset = Math.imul(seed, 0x9e3779b9)
  const numbers = new Float32Array(count)
  for (let i = 0; i < count; i++) {
    let x = (i + offset) >>> 0
    x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
    x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
    numbers[i] = low + ((high - low) * ((x ^ (x >>> 16)) >>> 0)) / 2 ** 32
  }
  return numbers
}
