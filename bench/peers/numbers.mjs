// Operands: numbers that every peer, in either language, generates from a few parameters (numbers.py does the same).

/** @typedef {{ shape: number[], seed: number, centre?: number, spread: number }} Operand */

/**
 * Generates an operand's numbers in row-major order: uniform in [centre − spread, centre + spread), by a hash of their
 * position.
 */
export function numbers({ shape, seed, centre = 0, spread }) {
  const first = Math.imul(seed, 0x9e3779b9)
  return Float32Array.from(
    { length: count(shape) },
    (_, i) => centre + spread * ((2 * (hash(first + i) >>> 8)) / 2 ** 24 - 1),
  )
}

/** Computes lowbias32, an integer hash. Source: Chris Wellons, "Prospecting for Hash Functions", 2018. */
function hash(x) {
  let h = x >>> 0
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d)
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b)
  return h ^ (h >>> 16)
}

/** Transposes a tensor: axis i of the result is axis order[i] of the source. */
export function permuted(data, shape, order) {
  const strides = shape.map((_, axis) => count(shape.slice(axis + 1)))
  const out = new Float32Array(data.length)
  const sizes = order.map((axis) => shape[axis])
  const steps = order.map((axis) => strides[axis])
  let at = 0
  const walk = (axis, offset) => {
    if (axis === sizes.length) out[at++] = data[offset]
    else for (let i = 0; i < sizes[axis]; i++) walk(axis + 1, offset + i * steps[axis])
  }
  walk(0, 0)
  return out
}

export function count(shape) {
  return shape.reduce((product, axis) => product * axis, 1)
}
