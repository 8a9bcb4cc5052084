/**
 * An operation with WGSL of your own, defined outside the package: two shaders, their launches, and the two checks that
 * every operation should have, against a plain formula and against a numerical gradient.
 */
import { WgradError } from 'wgrad'
import { Parameter } from 'wgrad/nn'
import { backward, defineOp, elementwise, empty, launch, read, registerShader, scope, tensor } from 'wgrad/tensor'
import type { Dtype, Tensor } from 'wgrad/tensor'
import { describe, expect, test } from 'vitest'
import { openQuietGpu } from './drawn-images.ts'

await openQuietGpu()

// y[i] = x[i]·s,  s = 1 / (1 + exp(−BETA·x[i]));  0 stays 0, so the padding of the last axis stays zero.
// T4, load4 and store4 are four channels in the storage type of the launch, f32 or f16; arithmetic is f32.
const forwardShader = registerShader(
  'example/swish-forward',
  /* wgsl */ `
// @shape VECTORS
// @const BETA:f32
@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i < shape.VECTORS) {
    let value = load4(x[i]);
    y[i] = store4(value / (1.0 + exp(-BETA * value)));
  }
}`,
)

// dx[i] = dy[i]·(s + BETA·x[i]·s·(1 − s))
const backwardShader = registerShader(
  'example/swish-backward',
  /* wgsl */ `
// @shape VECTORS
// @const BETA:f32
@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> dy: array<T4>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i < shape.VECTORS) {
    let value = load4(x[i]);
    let s = 1.0 / (1.0 + exp(-BETA * value));
    dx[i] = store4(load4(dy[i]) * (s + BETA * value * s * (1.0 - s)));
  }
}`,
)

interface SwishOptions {
  readonly beta: number
}

const op = defineOp<readonly [Tensor], SwishOptions, SwishOptions>({
  name: 'swish',
  // Checks shapes and options; what it returns is passed to forward and backward.
  plan(_inputs, { beta }) {
    if (!Number.isFinite(beta)) throw new WgradError('swish', 'beta is out of range', { given: { beta } })
    return { beta }
  },
  forward({ beta }, [x]) {
    const y = empty(x, 'swish')
    launch(forwardShader, { x, y }, { ...elementwise(y), constants: { BETA: beta } })
    return y
  },
  backward({ beta }, dy, { inputs: [x] }, _needs, target) {
    const dx = target(0)
    launch(backwardShader, { x, dy, dx }, { ...elementwise(dx), constants: { BETA: beta } })
    return [dx]
  },
})

/** Swish, y = x / (1 + exp(−beta·x)). x: any shape, f16 | f32. Source: Ramachandran et al. 2017, arXiv:1710.05941. */
function swish(x: Tensor, options: SwishOptions = { beta: 1 }): Tensor {
  return op([x], options)
}

// A last axis of 5 has three numbers of padding.
const shape = [3, 5]
const numbers = Array.from({ length: 15 }, (_, i) => (i - 7) / 2)
const formula = (x: number, beta: number) => x / (1 + Math.exp(-beta * x))

describe.each<[Dtype, number]>([
  ['f32', 6],
  ['f16', 2],
])('%s', (dtype, digits) => {
  test.each([1, 1.5])('forward is the formula, beta %d', async (beta) => {
    const y = swish(tensor(numbers, shape, dtype), { beta })
    expect(y).toMatchObject({ shape, dtype })
    const values = await read(y)
    for (const [i, x] of numbers.entries()) expect(values[i]).toBeCloseTo(formula(x, beta), digits)
  })
})

test('backward is the numerical gradient', async () => {
  const beta = 1.5
  const x = new Parameter('x', shape, 'weight', () => numbers)
  // Different for each element, so that gradients in the wrong place show.
  const dy = numbers.map((_, i) => 1 + i / 8)
  scope(() => backward(swish(x.value, { beta }), tensor(dy, shape)))
  const { gradient } = x.leaf
  if (!gradient) throw new Error('no gradient reached x')
  const step = 1e-4
  for (const [i, value] of (await read(gradient)).entries()) {
    const slope = (formula(numbers[i] + step, beta) - formula(numbers[i] - step, beta)) / (2 * step)
    expect(value).toBeCloseTo(dy[i] * slope, 4)
  }
})

test('options that make no sense are refused', () => {
  expect(() => swish(tensor([1], [1]), { beta: NaN })).toThrow('swish: beta is out of range')
})
