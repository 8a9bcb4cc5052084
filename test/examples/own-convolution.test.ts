/**
 * A convolution kernel of your own (own-convolution.mjs), registered for one pass: it is proven against the definition, the tuner
 * proves and times it beside the library's, and where it is chosen, `conv2d` runs it.
 */
import { currentGpu, exportChoices, importChoices, openGpuOn, registerConvolutionKernel, tune } from 'wgrad/gpu'
import type { Gpu } from 'wgrad'
import type { ConvolutionSizes, Stopwatch } from 'wgrad/gpu'
import { conv2d, launch, noGrad, read, registerShader, scope, tensor } from 'wgrad/tensor'
import { convolutionCase, expectClose, KernelOperands, measureKernel, proveKernel, uniform } from 'wgrad/testing'
import { afterAll, expect, test } from 'vitest'
import { openQuietGpu } from './drawn-images.ts'
import './own-convolution.mjs'

await openQuietGpu()
// What the tuner finds here is written nowhere.
const gpu: Gpu = await openGpuOn({ ...currentGpu().platform, log: () => {}, env: () => undefined })
afterAll(() => gpu.close())

/** Odd sizes: a last axis with padding, a stride, an image that the tiles do not divide. */
const odd = { N: 2, H: 7, W: 9, C: 5, P: 4, Q: 5, O: 18, R: 3, S: 3, STRIDE: 2, PAD: 1 } as const

test.each(['f32', 'f16'] as const)('the kernel is proven against the definition, %s', async (dtype) => {
  for (const sizes of [
    { ...odd, dtype },
    { ...odd, R: 1, S: 1, STRIDE: 1, PAD: 0, P: 7, Q: 9, dtype },
  ]) {
    const item = convolutionCase('forward', sizes, 'plain')
    const operands = new KernelOperands()
    const deviation = await proveKernel(item.name, item.prepare(operands), operands)
    operands.close()
    expect(deviation).toBeLessThan(1e-3)
  }
})

test('the tuner times it beside the others, and conv2d runs what it chooses', async () => {
  const sizes: ConvolutionSizes = { ...odd, dtype: 'f32' }
  const names: string[] = []
  // A stopwatch for which the kernel is the fastest; the results are proven as always.
  const stopwatch: Stopwatch = {
    compile: async () => {},
    async time(name, work) {
      names.push(name)
      scope(() => work(launch))
      return name.startsWith('plain') ? 1 : 2
    },
  }
  const tuned = await tune({ convolutions: [sizes], force: true, stopwatch })
  expect(new Set(names)).toContain('plain 16×16')
  expect(new Set(names).size).toBeGreaterThan(2)
  const forward = tuned.find(({ pass }) => pass.startsWith('forward'))
  expect(forward).toMatchObject({ kernel: 'plain 16×16' })
  expect(Object.values(exportChoices())).toContain('plain 16×16')

  const x = uniform([2, 7, 9, 5], 1)
  const weight = uniform([18, 3, 3, 5], 2)
  const run = () =>
    read(
      scope(() =>
        noGrad(() => conv2d(tensor(x.data, x.shape), tensor(weight.data, weight.shape), { stride: 2, padding: 1 })),
      ),
    )
  const own = await run()
  importChoices({ [forward!.pass]: 'tile 64×64×16, 8×8 a thread' })
  expectClose(await run(), own, 'f32')
})

test('a kernel that is fast and wrong is refused', async () => {
  const shader = registerShader(
    'example/wrong-convolution',
    /* wgsl */ `
// @shape N H W C P Q O R S STRIDE PAD
@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> weight: array<T4>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i < arrayLength(&y)) { y[i] = store4(load4(x[0]) + load4(weight[0]) + f32(shape.N)); }
}`,
  )
  registerConvolutionKernel({ name: 'wrong', pass: 'forward', shader, rows: 4, columns: 64 })
  const sizes: ConvolutionSizes = { ...odd, N: 3, dtype: 'f32' }
  const stopwatch: Stopwatch = {
    compile: async () => {},
    async time(name, work) {
      scope(() => work(launch))
      return name.startsWith('wrong') ? 1 : 2
    },
  }
  const tuned = await tune({ convolutions: [sizes], force: true, stopwatch })
  const forward = tuned.find(({ pass }) => pass.startsWith('forward'))
  expect(forward?.kernel).not.toContain('wrong')
  expect(forward?.refused.join()).toMatch(/^wrong 4×64 computes .* is right/)
  expect(() => registerConvolutionKernel({ name: 'wrong', pass: 'forward', shader, rows: 4, columns: 64 })).toThrow(
    'the name cannot be used',
  )
  expect(() => convolutionCase('backward-input', sizes, 'plain')).toThrow("no registered kernel 'plain' for this pass")
})

test('it is timed beside the kernel that would run, where the adapter has timestamps', async () => {
  const timed = await openGpuOn({ ...currentGpu().platform, log: () => {} }, { profile: true }).catch(
    (error: unknown) => {
      expect((error as Error).message).toContain('timestamp')
    },
  )
  if (!timed) return
  try {
    const sizes: ConvolutionSizes = { ...odd, dtype: 'f16' }
    const timing = { rounds: 3, patienceMs: 100 }
    const own = await measureKernel(timed, convolutionCase('forward', sizes, 'plain'), timing)
    const ours = await measureKernel(timed, convolutionCase('forward', sizes), timing)
    expect(own.kernel).toBe('plain 16×16')
    expect(ours.kernel).not.toBe(own.kernel)
    expect(own.medianMs).toBeGreaterThan(0)
  } finally {
    timed.close()
  }
})
