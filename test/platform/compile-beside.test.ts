import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { rng } from '../../src/base/rng.ts'
import { SHADER_STAGE } from '../../src/gpu/flags.ts'
import { compileBeside } from '../../src/platform/node/compile-beside.ts'
import type { KernelText } from '../../src/platform/platform.ts'
import { openTestGpu } from '../helpers/gpu.ts'

const LLVMPIPE = 'llvmpipe: Mesa 25.0.7'
const never = () => false

beforeEach(() => vi.stubEnv('MESA_SHADER_CACHE_DISABLE', ''))
afterEach(() => vi.unstubAllEnvs())

function kernel(code: string): KernelText {
  const buffer = (binding: number, type: GPUBufferBindingType) => ({
    binding,
    visibility: SHADER_STAGE.COMPUTE,
    buffer: { type },
  })
  return {
    code,
    layouts: [
      { label: 'numbers', entries: [buffer(0, 'read-only-storage'), buffer(1, 'storage')] },
      { label: 'shape', entries: [buffer(0, 'uniform')] },
    ],
  }
}

describe('on devices that only write down what they are given', () => {
  const names = Array.from({ length: 10 }, (_, i) => kernel(`kernel ${i}`))
  // The longest of all is in the first half.
  names[2] = kernel('kernel 2, the longest of all')
  names[6] = kernel('kernel 6, a long one')
  let compiled: string[]
  let open: number
  let firstMs: number

  function device(): Promise<GPUDevice> {
    open++
    const nothing = () => ({})
    const pass = { setPipeline: nothing, setBindGroup: nothing, dispatchWorkgroupsIndirect: nothing, end: nothing }
    return Promise.resolve({
      ...{
        createBuffer: nothing,
        createBindGroupLayout: nothing,
        createPipelineLayout: nothing,
        createBindGroup: nothing,
      },
      ...{ createComputePipeline: nothing, pushErrorScope: nothing, popErrorScope: () => Promise.resolve(null) },
      createShaderModule: ({ code }: { code: string }) => compiled.push(code),
      createCommandEncoder: () => ({ beginComputePass: () => pass, finish: nothing }),
      queue: {
        submit: nothing,
        onSubmittedWorkDone: () => new Promise((resolve) => setTimeout(resolve, compiled.length === 1 ? firstMs : 1)),
      },
      destroy: () => void open--,
    } as unknown as GPUDevice)
  }

  beforeEach(() => {
    compiled = []
    open = 0
    firstMs = 100
  })

  const numbers = () => compiled.map((code) => Number(/\d/.exec(code)))

  test('begins with a long one of the second half, then goes from the last to the first', async () => {
    expect(await compileBeside(LLVMPIPE, device, 1)?.(names, never)).toBe(10)
    expect(numbers()).toEqual([6, 9, 8, 7, 5, 4, 3, 2, 1, 0])
    expect(open).toBe(0)
  })

  test('several share them', async () => {
    expect(await compileBeside(LLVMPIPE, device, 3)?.(names, never)).toBe(10)
    expect(numbers().toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(open).toBe(0)
  })

  test('leaves the rest to the cache if the long one came from there', async () => {
    firstMs = 1
    expect(await compileBeside(LLVMPIPE, device, 1)?.(names, never)).toBe(1)
    expect(open).toBe(0)
  })

  test('ends once all have been launched', async () => {
    expect(await compileBeside(LLVMPIPE, device, 1)?.(names, () => compiled.length >= 4)).toBe(4)
    expect(open).toBe(0)
  })

  test('opens no device for the kernels of an operation', async () => {
    const opened = vi.fn<typeof device>(device)
    expect(await compileBeside(LLVMPIPE, opened, 1)?.(names.slice(0, 7), never)).toBe(0)
    expect(opened).not.toHaveBeenCalled()
  })

  test('goes on without one that cannot be opened, and closes one that is opened later', async () => {
    let asked = 0
    const second = async () => {
      if (++asked === 2) throw new Error('no more')
      if (asked === 3) await new Promise((resolve) => setTimeout(resolve, 20))
      return device()
    }
    expect(await compileBeside(LLVMPIPE, second, 3)?.(names, never)).toBe(10)
    expect(numbers().toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect([asked, open]).toEqual([3, 0])
  })

  test('ends with the error of a device that is lost, and leaves none of its promises unheard', async () => {
    const lost = async () => {
      const one = await device()
      const refuse = () => Promise.reject(new Error('lost'))
      return Object.assign(one, { popErrorScope: refuse, queue: { ...one.queue, onSubmittedWorkDone: refuse } })
    }
    await expect(compileBeside(LLVMPIPE, lost, 1)?.(names, never)).rejects.toThrow('lost')
    expect(open).toBe(0)
  })

  test('is for drivers that gain by it', () => {
    for (const name of ['NVIDIA: 580.159', 'SwiftShader', 'OpenGL ES 3.2 Mesa']) {
      expect(compileBeside(name, device, 1)).toBeUndefined()
    }
    expect(compileBeside(LLVMPIPE, device, 0)).toBeUndefined()
    vi.stubEnv('MESA_SHADER_CACHE_DISABLE', 'true')
    expect(compileBeside(LLVMPIPE, device, 1)).toBeUndefined()
  })
})

describe('on a device', async () => {
  const gpu = await openTestGpu()
  const adapters: GPUAdapter[] = []
  async function device(): Promise<GPUDevice> {
    const adapter = await gpu.instance.requestAdapter()
    if (!adapter) throw new Error('no adapter')
    adapters.push(adapter)
    return adapter.requestDevice()
  }
  afterAll(() => adapters.splice(0))

  /** Returns a kernel of many multiplications, with factors that no cache has seen. */
  function unseen(random: ReturnType<typeof rng>, terms: number): KernelText {
    const sums = Array.from(
      { length: terms },
      () => `sum = fma(sum, sum * ${random.uniform(1, 2)}f, x[u32(sum) % 64u]);`,
    )
    return kernel(`struct Shape { COUNT: u32, numbers: array<vec4u, 64> }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> shape: Shape;
@compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) {
  var sum = x[i];
  ${sums.join('\n  ')}
  if (i < shape.COUNT) { y[i] = sum; }
}
`)
  }

  test('kernels compile as they are, and one that does not is passed over', async () => {
    const random = rng(0, crypto.randomUUID())
    const kernels = Array.from({ length: 8 }, (_, i) => unseen(random, i === 7 ? 150 : 1))
    const broken = { ...kernels[0], code: kernels[0].code.replace('var sum', 'var some') }
    expect(await compileBeside(LLVMPIPE, device, 1)?.([...kernels, broken], never)).toBe(8)
  })
})
