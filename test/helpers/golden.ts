import { readFileSync } from 'node:fs'
import { elementCount, type Shape } from '../../src/tensor/shape.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { expectClose, normOf, toleranceOf } from '../../src/testing/close.ts'

/** A tensor of a golden file, in PyTorch's layout: enough of it to recognise. */
export interface Summary {
  readonly shape: Shape
  /** √Σx², Σx and the first elements, float64. */
  readonly norm: number
  readonly sum: number
  readonly first: readonly number[]
}

/** Reads test/golden/<name>.json, whose field `what` describes its contents. */
export function golden<Content>(name: string): Content {
  return JSON.parse(readFileSync(new URL(`../golden/${name}.json`, import.meta.url), 'utf8')) as Content
}

/**
 * A parameter of the networks in the golden files, in PyTorch's layout: number j (from 0) of the state dictionary's
 * parameters has seed seed0 + j.
 */
export function hashParameter(name: string, shape: Shape, seed: number): Float32Array {
  const count = elementCount(shape)
  if (shape.length > 1) {
    const fanIn = count / shape[0]
    const bound = Math.sqrt(6 / fanIn)
    return hashUniform(count, seed, -bound, bound)
  }
  return name.endsWith('weight') ? hashUniform(count, seed, 0.5, 1.5) : hashUniform(count, seed, -0.1, 0.1)
}

/** NCHW → NHWC; the same for weights, OIHW → OHWI. `shape` is that of the source, [N,C,H,W]. */
export function channelsLast(data: ArrayLike<number>, [N, C, H, W]: Shape): Float32Array {
  return permuted(data, [N, C, H * W])
}

/** NHWC → NCHW; the same for weights, OHWI → OIHW. `shape` is that of the source, [N,H,W,C]. */
export function channelsFirst(data: ArrayLike<number>, [N, H, W, C]: Shape): Float32Array {
  return permuted(data, [N, H * W, C])
}

/** Throws unless a tensor, brought to PyTorch's layout, is the one that the summary was made of. */
export function expectGolden(
  actual: ArrayLike<number>,
  expected: Summary,
  dtype: 'f32' | 'f16' = 'f32',
  name = 'tensor',
): void {
  const count = elementCount(expected.shape)
  if (actual.length !== count) throw new Error(`${name}: ${actual.length} elements, expected ${count}`)
  const { norm } = expected
  expectClose([normOf(actual)], [norm], dtype, { name: `norm of ${name}` })
  // An error of the size allowed, the same in every element, is √count times as large in the sum.
  const sum = Array.from(actual).reduce((total, value) => total + value, 0)
  const allowed = toleranceOf(dtype) * norm * Math.sqrt(count)
  if (!(Math.abs(sum - expected.sum) <= allowed)) {
    throw new Error(`sum of ${name}: ${sum}, expected ${expected.sum} ± ${allowed}`)
  }
  const first = Array.from({ length: expected.first.length }, (_, i) => actual[i])
  expectClose(first, expected.first, dtype, {
    name: `first of ${name}`,
    norm: Math.max(normOf(expected.first), norm * Math.sqrt(first.length / count)),
  })
}

/** [A,B,C] → [A,C,B] */
function permuted(data: ArrayLike<number>, [A, B, C]: Shape): Float32Array {
  const out = new Float32Array(A * B * C)
  for (let a = 0; a < A; a++) {
    for (let b = 0; b < B; b++) {
      for (let c = 0; c < C; c++) out[(a * C + c) * B + b] = data[(a * B + b) * C + c]
    }
  }
  return out
}
