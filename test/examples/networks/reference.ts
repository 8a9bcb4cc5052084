import { createHash } from 'node:crypto'
import { expect } from 'vitest'
import type { Module, StateDict } from 'wgrad/nn'
import { loadWeights } from 'wgrad/nn'
import { backward, noGrad, read, scope, tensor } from 'wgrad/tensor'
import { normOf } from '../../../src/testing/close.ts'
import { channelsFirst, channelsLast, golden, type Summary } from '../../helpers/golden.ts'
import { hashUniform } from '../../../src/testing/hash-uniform.ts'

interface Whole {
  readonly name: string
  readonly shape: readonly number[]
  readonly states: number
  readonly names: string
  readonly logits: readonly (readonly number[])[]
}

interface Reduced extends Whole {
  readonly dx: Summary
  readonly grads: Readonly<Record<string, Summary>>
}

interface Golden {
  readonly seed0: number
  readonly seed: number
  readonly outputs: number
  readonly cotangent: number
  readonly whole: readonly Whole[]
  readonly reduced: readonly Reduced[]
}

const { seed0, seed, cotangent, whole, reduced } = golden<Golden>('networks')

/** Numbers of torchvision's network in test/golden/networks.json, by its names: the file that PyTorch would have written. */
function goldenWeights(states: StateDict): StateDict {
  let [parameters, statistics] = [0, 0]
  return new Map(
    [...states].map(([name, { shape, data }]) => {
      const count = data.length
      const numbers = (): Float32Array => {
        if (name.endsWith('running_var')) return hashUniform(count, 5000 + statistics++, 0.5, 1.5)
        if (name.endsWith('running_mean')) return hashUniform(count, 5000 + statistics++, -0.1, 0.1)
        const from = seed0 + parameters++
        if (name.endsWith('layer_scale')) return hashUniform(count, from, 0.5, 1.5)
        const bound = Math.sqrt((6 * shape[0]) / count)
        if (shape.length > 1) return hashUniform(count, from, -bound, bound)
        return name.endsWith('weight') ? hashUniform(count, from, 0.5, 1.5) : hashUniform(count, from, -0.1, 0.1)
      }
      return [name, { shape, data: numbers() }]
    }),
  )
}

/** Names and shapes of the state are those of torchvision, whose weights all load. */
async function loadGolden(model: Module, expected: Whole, own: (weights: StateDict) => StateDict, theirs = own) {
  const states = theirs(await model.stateDict())
  const names = [...states].map(([name, { shape }]) => `${name} ${shape.join()}`)
  expect(names).toHaveLength(expected.states)
  expect(createHash('sha256').update(names.join('\n')).digest('hex')).toBe(expected.names)
  expect(loadWeights(model, own(goldenWeights(states)), { strict: true }).matched).toHaveLength(expected.states)
}

function imagesOf({ shape: [N, C, H, W] }: Whole) {
  return tensor(channelsLast(hashUniform(N * C * H * W, seed, -2, 2), [N, C, H, W]), [N, H, W, C])
}

/** Requires ‖actual − expected‖ ≤ tolerance · ‖expected‖. */
function expectNear(actual: ArrayLike<number>, expected: readonly number[], tolerance: number, name: string): void {
  const wrong = normOf(expected.map((value, i) => actual[i] - value)) / normOf(expected)
  expect(wrong, `${name}: part of the norm that is wrong`).toBeLessThanOrEqual(tolerance)
}

/** Renamings between torchvision's weights and a model's own, by default none. */
interface Names {
  readonly own?: (weights: StateDict) => StateDict
  readonly theirs?: (weights: StateDict) => StateDict
}

const same = (weights: StateDict) => weights

/** Compares the logits of a whole network in evaluation with those of PyTorch in float64. */
export async function expectLogits(
  model: Module,
  name: string,
  { own = same, theirs = same }: Names = {},
): Promise<void> {
  const expected = whole.find((one) => one.name === name)!
  await loadGolden(model, expected, own, theirs)
  const logits = scope(() => noGrad(() => model.eval().forward(imagesOf(expected))))
  expectNear(await read(logits), expected.logits.flat(), 1e-4, 'logits')
}

/** Compares logits and gradients of a reduced network in training with those of PyTorch in float64. */
export async function expectGradients(
  model: Module,
  name: string,
  { own = same, theirs = same }: Names = {},
): Promise<void> {
  const expected = reduced.find((one) => one.name === name)!
  await loadGolden(model, expected, own, theirs)
  const x = imagesOf(expected)
  x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  const logits = model.train().forward(x)
  const values = await read(logits)
  expectNear(values, expected.logits.flat(), 1e-4, 'logits')
  backward(logits, tensor(hashUniform(values.length, cotangent, -1, 1), logits.shape))
  const parameters = new Map(model.parameters().map((parameter) => [parameter.path, parameter]))
  const given = [
    ['x', x.leaf.gradient!, expected.dx] as const,
    ...Object.entries(expected.grads).map(
      ([path, grad]) => [path, parameters.get(path)!.leaf.gradient!, grad] as const,
    ),
  ]
  for (const [path, gradient, { norm, first }] of given) {
    const numbers = await read(gradient)
    const torch = gradient.shape.length === 4 ? channelsFirst(numbers, gradient.shape) : numbers
    expect(Math.abs(normOf(torch) / norm - 1), `norm of d(${path})`).toBeLessThanOrEqual(1e-3)
    const typical = norm / Math.sqrt(numbers.length)
    const wrong = normOf(first.map((value, i) => torch[i] - value))
    expect(wrong / Math.max(normOf(first), typical), `d(${path})`).toBeLessThanOrEqual(5e-3)
  }
}
