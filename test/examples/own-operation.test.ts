/**
 * An operation with WGSL of your own, defined outside the package: two shaders, their launches, the two checks that every
 * operation should have, against a plain formula and against a numerical gradient, and how fast it is.
 */
import { WgradError } from 'wgrad'
import { defineOp, elementwise, empty, launch, noGrad, read, registerShader, tensor } from 'wgrad/tensor'
import type { Dtype, Tensor } from 'wgrad/tensor'
import { bytesOf, gradcheck, measureKernel, measurePeaks, rounding, underRoof, uniform } from 'wgrad/testing'
import type { KernelCase } from 'wgrad/testing'
import { describe, expect, test } from 'vitest'
import { currentGpu, openGpuOn } from 'wgrad/gpu'
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

test('backward is the numerical gradient, in f32 and in f16', async () => {
  await gradcheck('swish', ({ x }) => swish(x, { beta: 1.5 }), { x: uniform([3, 5], 1) })
})

test('options that make no sense are refused', () => {
  expect(() => swish(tensor([1], [1]), { beta: NaN })).toThrow('swish: beta is out of range')
})

/** How `measureKernel` proves and times swish on [N,H,W,C]: it reads x and writes y, so copying sets its roof. */
const swishCase: KernelCase = {
  name: 'swish/forward [4,28,28,64] f32',
  prepare(operands) {
    const x = operands.random('x', [4, 28, 28, 64], 'f32')
    return {
      flops: 0,
      bytes: 2 * bytesOf(x.tensor),
      run: () => ({ y: noGrad(() => swish(x.tensor)) }),
      checks: { y: { at: (i) => formula(x.at(i), 1), allowed: rounding('f32') } },
    }
  },
}

test('the kernel is proven, then timed, where the adapter has timestamps', async () => {
  const gpu = await openGpuOn({ ...currentGpu().platform, log: () => {} }, { profile: true }).catch(
    (error: unknown) => {
      expect((error as Error).message).toContain('timestamp')
    },
  )
  if (!gpu) return
  try {
    const time = await measureKernel(gpu, swishCase, { rounds: 3, patienceMs: 100 })
    expect(time.medianMs).toBeGreaterThan(0)
    expect(time.deviation).toBeLessThan(rounding('f32'))
    // Another process may have slowed one of both measurements down, so nothing is asked of the share.
    const { share, roof } = underRoof(time, await measurePeaks(gpu, 1))
    expect(share).toBeGreaterThan(0)
    expect(roof).toBe('copy')

    const wrong: KernelCase = {
      ...swishCase,
      prepare: (operands) => ({
        ...swishCase.prepare(operands),
        checks: { y: { at: () => 1, allowed: rounding('f32') } },
      }),
    }
    await expect(measureKernel(gpu, wrong)).rejects.toThrow('y is wrong by')
  } finally {
    gpu.close()
  }
})
