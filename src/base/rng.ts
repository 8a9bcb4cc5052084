/**
 * Stream of random numbers, with a seed and a name.
 *
 * Every random choice of the library is drawn on the CPU from `rng(seed, name, …indices)`: the stream depends on
 * its seed, name and indices only, never on earlier draws, so a resumed or re-ordered run draws the same numbers.
 */
export interface Rng {
  /** Returns the next 32 random bits, as an unsigned integer. */
  bits(): number
  /** Draws from U[low, high), with 53 random bits. Default low = 0, high = 1 */
  uniform(low?: number, high?: number): number
  /** Returns the next `count` numbers of `uniform`, rounded to f32. */
  uniforms(count: number, low?: number, high?: number): Float32Array
  /** Draws an integer from low to high, both included. */
  integer(low: number, high: number): number
  /** Draws from N(mean, deviation²), by Box and Muller. Default mean = 0, deviation = 1 */
  normal(mean?: number, deviation?: number): number
  /** Returns the next `count` numbers of `normal`, rounded to f32. */
  normals(count: number, mean?: number, deviation?: number): Float32Array
  /** Draws from Beta(a, b), as X/(X+Y) of two gamma variates. */
  beta(a: number, b: number): number
  /** Draws true with probability p. */
  bernoulli(p: number): boolean
  /** Draws a uniform permutation of 0 … n−1 (Fisher-Yates). */
  permutation(n: number): Uint32Array
}

/** Returns the random stream of a seed, a name and indices. Generator: xoshiro128** (Blackman & Vigna 2018). */
export function rng(seed: number, name: string, ...indices: number[]): Rng {
  return new Xoshiro(seedWords(`${seed}/${name}/${indices.join('/')}`))
}

class Xoshiro implements Rng {
  private spare: number | undefined
  // Signed, as the engine keeps 32 bits with a sign without a box.
  private a: number
  private b: number
  private c: number
  private d: number

  constructor([a, b, c, d]: Int32Array) {
    this.a = a
    this.b = b
    this.c = c
    this.d = d
  }

  bits(): number {
    const { a, b, c, d } = this
    const second = c ^ a
    const third = d ^ b
    this.a = a ^ third
    this.b = b ^ second
    this.c = second ^ (b << 9)
    this.d = rotl(third, 11)
    return Math.imul(rotl(Math.imul(b, 5), 7), 9) >>> 0
  }

  uniform(low = 0, high = 1): number {
    // 53 bits: 27 high, 26 low, as Python's random.random() composes them.
    const unit = ((this.bits() >>> 5) * 67108864 + (this.bits() >>> 6)) / 9007199254740992
    return low + (high - low) * unit
  }

  // In loops: `Float32Array.from` of a function takes two to three times as long.
  uniforms(count: number, low = 0, high = 1): Float32Array {
    const numbers = new Float32Array(count)
    for (let i = 0; i < count; i++) numbers[i] = this.uniform(low, high)
    return numbers
  }

  normals(count: number, mean = 0, deviation = 1): Float32Array {
    const numbers = new Float32Array(count)
    for (let i = 0; i < count; i++) numbers[i] = this.normal(mean, deviation)
    return numbers
  }

  integer(low: number, high: number): number {
    return low + Math.floor(this.uniform() * (high - low + 1))
  }

  normal(mean = 0, deviation = 1): number {
    if (this.spare !== undefined) {
      const z = this.spare
      this.spare = undefined
      return mean + deviation * z
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()))
    const angle = 2 * Math.PI * this.uniform()
    this.spare = radius * Math.sin(angle)
    return mean + deviation * radius * Math.cos(angle)
  }

  beta(a: number, b: number): number {
    const x = this.gamma(a)
    const y = this.gamma(b)
    // Both can underflow to 0 for small parameters; the limit of the distribution is then a fair coin of 0 and 1.
    return x + y > 0 ? x / (x + y) : this.bernoulli(a / (a + b)) ? 1 : 0
  }

  bernoulli(p: number): boolean {
    return this.uniform() < p
  }

  permutation(n: number): Uint32Array {
    const order = Uint32Array.from({ length: n }, (_, i) => i)
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(0, i)
      const swap = order[i]
      order[i] = order[j]
      order[j] = swap
    }
    return order
  }

  /** Draws from Gamma(shape, 1): Marsaglia & Tsang 2000; for shape < 1 through Gamma(shape + 1)·U^(1/shape). */
  private gamma(shape: number): number {
    if (shape < 1) return this.gamma(shape + 1) * Math.pow(1 - this.uniform(), 1 / shape)
    const d = shape - 1 / 3
    const c = 1 / Math.sqrt(9 * d)
    for (;;) {
      const z = this.normal()
      const v = (1 + c * z) ** 3
      if (v > 0 && Math.log(1 - this.uniform()) < 0.5 * z * z + d - d * v + d * Math.log(v)) return d * v
    }
  }
}

function rotl(x: number, k: number): number {
  return (x << k) | (x >>> (32 - k))
}

/** Returns four state words for a text: FNV-1a to 32 bits, expanded by splitmix32. */
function seedWords(text: string): Int32Array {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return Int32Array.from({ length: 4 }, () => {
    hash = (hash + 0x9e3779b9) | 0
    let z = hash
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return z ^ (z >>> 15)
  })
}
