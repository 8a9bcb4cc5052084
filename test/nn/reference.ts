import { expect } from 'vitest'
import type { Sequential } from '../../src/nn/sequential.ts'
import { fromTorch, torchShape } from '../../src/nn/state-dict.ts'
import { normOf } from '../../src/testing/close.ts'
import { hashParameter, type Summary } from '../helpers/golden.ts'

/** test/golden/xresnet18.json and its like. */
export interface GoldenNetwork {
  readonly seed0: number
  readonly input: { readonly shape: readonly number[]; readonly seed: number; readonly lo: number; readonly hi: number }
  readonly targets: readonly number[]
  readonly n_out: number
  readonly logits: readonly (readonly number[])[]
  readonly cross_entropy: number
  readonly label_smoothing: number
  readonly input_grad: Summary
  readonly grads: Readonly<Record<string, Summary>>
  readonly running_stats: Readonly<Record<string, Summary>>
  readonly eval_logits: readonly (readonly number[])[]
}

/** Fills every parameter as in the golden files. */
export function hashInit(model: Sequential, seed0: number): void {
  for (const [j, parameter] of model.parameters().entries()) {
    parameter.write(fromTorch(hashParameter(parameter.path, torchShape(parameter.shape), seed0 + j), parameter.shape))
  }
}

/** The loss in f64 and its gradient: softmax cross-entropy with label smoothing, mean over the batch. */
export function crossEntropy(
  logits: ArrayLike<number>,
  targets: readonly number[],
  smoothing: number,
): { loss: number; gradient: Float32Array } {
  const N = targets.length
  const K = logits.length / N
  const gradient = new Float32Array(N * K)
  let loss = 0
  for (let n = 0; n < N; n++) {
    const row = Array.from({ length: K }, (_, k) => logits[n * K + k])
    const most = Math.max(...row)
    const logSum = most + Math.log(row.reduce((sum, x) => sum + Math.exp(x - most), 0))
    for (let k = 0; k < K; k++) {
      const wanted = smoothing / K + (k === targets[n] ? 1 - smoothing : 0)
      loss -= (wanted * (row[k] - logSum)) / N
      gradient[n * K + k] = (Math.exp(row[k] - logSum) - wanted) / N
    }
  }
  return { loss, gradient }
}

export function expectWithin(actual: number, expected: number, tolerance: number, name: string): void {
  if (!(Math.abs(actual - expected) <= tolerance)) {
    throw new Error(`${name}: ${actual}, expected ${expected} ± ${tolerance}`)
  }
}

/** Throws unless ‖actual - expected‖ ≤ tolerance · ‖expected‖. */
export function expectNear(
  actual: ArrayLike<number>,
  expected: readonly number[],
  tolerance: number,
  name: string,
): void {
  expect(actual.length).toBe(expected.length)
  const wrong = normOf(expected.map((value, i) => actual[i] - value)) / normOf(expected)
  if (!(wrong <= tolerance)) {
    throw new Error(`${name}: ${wrong.toExponential(1)} of the norm is wrong, ${tolerance} allowed`)
  }
}
