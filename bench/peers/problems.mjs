// Operations and their expected results. Layouts are wgrad's: x and y [N,H,W,C], weight [O,R,S,C].
import { count, numbers } from './numbers.mjs'

/** Operations, each a plain object sent to the peers as JSON. */
export const problems = [
  ...[512, 1024].map(matmul),
  ...[
    [3, 1],
    [1, 1],
    [3, 2],
  ].flatMap(([window, stride]) => ['forward', 'input', 'weight'].map((pass) => convolution(window, stride, pass))),
]

function matmul(size) {
  return {
    name: `matmul ${size}³`,
    pass: 'matmul',
    flops: 2 * size ** 3,
    shape: [size, size],
    operands: { a: { shape: [size, size], seed: 1, spread: 1 }, b: { shape: [size, size], seed: 2, spread: 1 } },
  }
}

/** Makes a convolution with N = 8, 32×32 pixels, 64 channels to 64, about that of the first stage of xresnet18. */
function convolution(window, stride, pass) {
  const [N, side, C, O] = [8, 32, 64, 64]
  const out = side / stride
  const operands = {
    x: { shape: [N, side, side, C], seed: 3, spread: 1 },
    weight: { shape: [O, window, window, C], seed: 4, spread: 0.1 },
    dy: { shape: [N, out, out, O], seed: 5, spread: 1 },
  }
  const passes = {
    forward: { words: 'forward', shape: operands.dy.shape },
    input: { words: 'input gradient', shape: operands.x.shape },
    weight: { words: 'weight gradient', shape: operands.weight.shape },
  }
  return {
    name: `conv ${window}×${window}${stride > 1 ? ` /${stride}` : ''} ${passes[pass].words}`,
    pass,
    stride,
    pad: (window - 1) / 2,
    flops: 2 * count(operands.dy.shape) * window * window * C,
    shape: passes[pass].shape,
    operands,
  }
}

/** Number of elements of each result that are compared. */
const SAMPLES = 64

/**
 * Tolerance of results relative to the largest of the sums below. f32: 8192 products are added in some order, each
 * rounded by 2^-24. f16: operands and results are rounded to 11 bits.
 */
const ALLOWED = { f32: 1e-5, mixed: 2e-3 }

/**
 * Compares some elements of a result with plain sums in double precision.
 *
 * @param valuesAt  function that returns the peer's values at a list of indices
 * @throws Error  if they differ: a peer with wrong results is not timed
 */
export async function prove(problem, precision, valuesAt) {
  const total = count(problem.shape)
  // Spread over the whole result by the golden ratio; the first and the last element are corners.
  const indices = Array.from({ length: SAMPLES }, (_, i) => Math.floor(((i * 0.6180339887498949) % 1) * total))
  indices.push(total - 1)
  const got = await valuesAt(indices)
  const data = Object.fromEntries(Object.entries(problem.operands).map(([name, operand]) => [name, numbers(operand)]))
  const expected = indices.map((index) => references[problem.pass](problem, data, index))
  const largest = Math.max(...expected.map(Math.abs))
  const deviation = Math.max(...expected.map((value, i) => Math.abs(value - got[i]))) / largest
  // Negated, so that NaN fails as well.
  if (!(deviation <= ALLOWED[precision])) {
    throw new Error(`wrong by ${deviation.toExponential(1)}, allowed ${ALLOWED[precision]}`)
  }
  return deviation
}

/** Computes one element of a result from every product that contributes to it, slowly and evidently right. */
const references = {
  matmul({ shape: [, n] }, { a, b }, index) {
    const row = Math.floor(index / n)
    const column = index % n
    let sum = 0
    for (let k = 0; k < n; k++) sum += a[row * n + k] * b[k * n + column]
    return sum
  },

  // Sum over the taps and channels that reach y[n,p,q,o].
  forward(problem, { x, weight }, index) {
    const { H, W, C, R, S, P, Q, O, stride, pad } = sizesOf(problem)
    const [n, p, q, o] = unravel(index, [P, Q, O])
    let sum = 0
    for (let r = 0; r < R; r++) {
      for (let s = 0; s < S; s++) {
        const h = p * stride + r - pad
        const w = q * stride + s - pad
        if (h < 0 || w < 0 || h >= H || w >= W) continue
        for (let c = 0; c < C; c++) sum += x[((n * H + h) * W + w) * C + c] * weight[((o * R + r) * S + s) * C + c]
      }
    }
    return sum
  },

  // Sum over the taps and outputs that x[n,h,w,c] reaches.
  input(problem, { weight, dy }, index) {
    const { H, W, C, R, S, P, Q, O, stride, pad } = sizesOf(problem)
    const [n, h, w, c] = unravel(index, [H, W, C])
    let sum = 0
    for (let r = 0; r < R; r++) {
      for (let s = 0; s < S; s++) {
        const p = (h + pad - r) / stride
        const q = (w + pad - s) / stride
        if (!Number.isInteger(p) || !Number.isInteger(q) || p < 0 || q < 0 || p >= P || q >= Q) continue
        for (let o = 0; o < O; o++) sum += dy[((n * P + p) * Q + q) * O + o] * weight[((o * R + r) * S + s) * C + c]
      }
    }
    return sum
  },

  // Sum over the pixels at which weight[o,r,s,c] is used.
  weight(problem, { x, dy }, index) {
    const { N, H, W, C, R, S, P, Q, O, stride, pad } = sizesOf(problem)
    const [o, r, s, c] = unravel(index, [R, S, C])
    let sum = 0
    for (let n = 0; n < N; n++) {
      for (let p = 0; p < P; p++) {
        for (let q = 0; q < Q; q++) {
          const h = p * stride + r - pad
          const w = q * stride + s - pad
          if (h < 0 || w < 0 || h >= H || w >= W) continue
          sum += x[((n * H + h) * W + w) * C + c] * dy[((n * P + p) * Q + q) * O + o]
        }
      }
    }
    return sum
  },
}

/** Returns the sizes of a convolution by their letters. */
export function sizesOf({ operands: { x, weight, dy }, stride, pad }) {
  const [N, H, W, C] = x.shape
  const [O, R, S] = weight.shape
  const [, P, Q] = dy.shape
  return { N, H, W, C, O, R, S, P, Q, stride, pad }
}

function unravel(index, [second, third, fourth]) {
  const d = index % fourth
  const c = Math.floor(index / fourth) % third
  const b = Math.floor(index / (fourth * third)) % second
  return [Math.floor(index / (fourth * third * second)), b, c, d]
}
