/**
 * Convolution kernels of your own (own-convolution.mjs), one for each pass: they are proven against the definition, the tuner
 * proves and times them beside the library's, and where they are chosen, `conv2d` and its gradients run them.
 */
import { currentGpu, exportChoices, importChoices, openGpuOn, registerConvolutionKernel, tune } from 'wgrad/gpu'
import type { Gpu } from 'wgrad'
import type { ConvolutionPass, ConvolutionSizes, Stopwatch } from 'wgrad/gpu'
import { conv2d, launch, noGrad, read, registerShader, scope, tensor } from 'wgrad/tensor'
import type { RegisteredShader, Tensor } from 'wgrad/tensor'
import {
  convolutionCase,
  expectClose,
  gradcheck,
  KernelOperands,
  measureKernel,
  proveKernel,
  uniform,
} from 'wgrad/testing'
import { afterAll, describe, expect, test } from 'vitest'
import { openQuietGpu } from './drawn-images.ts'
import './own-convolution.mjs'

await openQuietGpu()
// The tuner writes no file here, and its time never runs out, however slowly a machine compiles: this clock stands still.
const platform = { ...currentGpu().platform, log: () => {}, env: () => undefined, now: () => 0 }
const gpu: Gpu = await openGpuOn(platform)
afterAll(() => gpu.close())

/** Odd sizes: a last axis with padding, a stride, an image that the tiles do not divide. */
const odd = { N: 2, H: 7, W: 9, C: 5, P: 4, Q: 5, O: 18, R: 3, S: 3, STRIDE: 2, PAD: 1 } as const

/** Name of the kernel of each pass. */
const NAMES = { forward: 'plain', 'backward-input': 'plain-input', 'backward-weight': 'plain-weight' } as const
const passes = Object.keys(NAMES) as ConvolutionPass[]

/** Times kernels of a name as the fastest; the results are proven as always. */
function favouring(name: string, seen: string[] = []): Stopwatch {
  return {
    compile: async () => {},
    async time(kernel, work) {
      seen.push(kernel)
      scope(() => work(launch))
      return kernel.startsWith(name) ? 1 : 2
    },
  }
}

async function prove(pass: ConvolutionPass, sizes: ConvolutionSizes, name: string): Promise<number> {
  const item = convolutionCase(pass, sizes, name)
  const operands = new KernelOperands()
  try {
    return await proveKernel(item.name, item.prepare(operands), operands)
  } finally {
    operands.close()
  }
}

describe.each(passes)('a kernel of %s', (pass) => {
  test.each(['f32', 'f16'] as const)('is proven against the definition, %s', async (dtype) => {
    for (const sizes of [
      { ...odd, dtype },
      { ...odd, R: 1, S: 1, STRIDE: 1, PAD: 0, P: 7, Q: 9, dtype },
      // Without padding, and with a stride that the last row and column of x are beyond.
      { ...odd, H: 10, P: 3, Q: 3, STRIDE: 3, PAD: 0, dtype },
    ]) {
      expect(await prove(pass, sizes, NAMES[pass])).toBeLessThan(1e-3)
    }
  })

  test('that is fast and wrong is refused, with the number that it gets wrong', async () => {
    const name = `wrong-${pass}`
    registerConvolutionKernel({ name, pass, shader: wrong(pass), rows: 4, columns: 64 })
    // Sizes of which no pass is chosen yet.
    const sizes: ConvolutionSizes = { ...odd, N: 3 + passes.indexOf(pass), dtype: 'f32' }
    const tuned = await tune({ convolutions: [sizes], force: true, stopwatch: favouring('wrong') })
    const found = tuned.find((one) => one.pass.startsWith(`${pass} `))
    expect(found?.kernel).not.toContain('wrong')
    expect(found?.refused[0]).toMatch(new RegExp(`^${name} 4×64(, few slices)? computes .* is right`))
    await expect(prove(pass, sizes, name)).rejects.toThrow(/ is wrong by .*; not timed/)
    expect(() => registerConvolutionKernel({ name, pass, shader: wrong(pass), rows: 4, columns: 64 })).toThrow(
      'the name cannot be used',
    )
  })
})

test('the tuner times them beside the others, and conv2d and its gradients run what it chooses', async () => {
  const names: string[] = []
  const stopwatch = favouring('plain', names)
  const tuned = await tune({ convolutions: [{ ...odd, dtype: 'f32' }], force: true, stopwatch })
  for (const pass of passes) {
    const { kernel } = tuned.find((one) => one.pass.startsWith(`${pass} `)) ?? {}
    expect(kernel).toMatch(new RegExp(`^${NAMES[pass]} 16×16(, few slices)?$`))
    expect(Object.values(exportChoices())).toContain(kernel)
    expect(names.filter((name) => !name.startsWith('plain')).length).toBeGreaterThan(passes.length)
  }

  const image = uniform([2, 7, 9, 5], 1)
  const filters = uniform([18, 3, 3, 5], 2)
  const convolve = ({ x, weight }: Readonly<Record<'x' | 'weight', Tensor>>) =>
    conv2d(x, weight, { stride: 2, padding: 1 })
  // Forward and both gradients, by differences of what forward computes.
  await gradcheck('conv2d', convolve, { x: image, weight: filters }, { dtypes: ['f32'] })
  const run = () =>
    read(
      scope(() =>
        noGrad(() => convolve({ x: tensor(image.data, image.shape), weight: tensor(filters.data, filters.shape) })),
      ),
    )
  const own = await run()
  importChoices(Object.fromEntries(tuned.map(({ pass }) => [pass, 'tile 64×64×16, 8×8 a thread'])))
  expectClose(await run(), own, 'f32')
})

test.each(passes)('%s is timed beside the kernel that would run, where the adapter has timestamps', async (pass) => {
  const timed = await openGpuOn(gpu.platform, { profile: true }).catch((error: unknown) => {
    expect((error as Error).message).toContain('timestamp')
  })
  if (!timed) return
  try {
    const sizes: ConvolutionSizes = { ...odd, dtype: 'f16' }
    const timing = { rounds: 3, patienceMs: 100 }
    const own = await measureKernel(timed, convolutionCase(pass, sizes, NAMES[pass]), timing)
    const ours = await measureKernel(timed, convolutionCase(pass, sizes), timing)
    expect(own.kernel).toBe(`${NAMES[pass]} 16×16`)
    expect(ours.kernel).not.toBe(own.kernel)
    expect(own.medianMs).toBeGreaterThan(0)
  } finally {
    timed.close()
  }
})

/** Registers a shader of a pass that writes one and the same number everywhere. */
function wrong(pass: ConvolutionPass): RegisteredShader {
  const [left, right, result, slices = ''] = {
    forward: ['x', 'weight', 'y'],
    'backward-input': ['dy', 'weight', 'dx'],
    'backward-weight': ['x', 'dy', 'dw', 'SLICES'],
  }[pass]
  const sum = `load4(${left}[0]) + load4(${right}[0]) + f32(shape.N)`
  return registerShader(
    `example/wrong-${pass}`,
    /* wgsl */ `
// @shape N H W C P Q O R S STRIDE PAD ${slices}
@group(0) @binding(0) var<storage, read> ${left}: array<T4>;
@group(0) @binding(1) var<storage, read> ${right}: array<T4>;
@group(0) @binding(2) var<storage, read_write> ${result}: array<${slices ? 'vec4f' : 'T4'}>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32) {
  for (var i = thread; i < arrayLength(&${result}); i += 64u) { ${result}[i] = ${slices ? sum : `store4(${sum})`}; }
}`,
  )
}
