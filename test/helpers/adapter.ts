import { vi } from 'vitest'
import type * as Webgpu from 'webgpu'
import { DEFAULT_LIMITS, limitedGpu } from './limited.ts'

/**
 * Selects the adapter of the tests: the machine's own, or the one named by the variable TEST_ADAPTER.
 *
 * - `amd`: the machine's own under the name of an AMD GPU. It passes for hardware with subgroups of 32 to 64, so sizes
 * are constants, no kernel relies on the size of a subgroup, and fits begin with the tuner where they are long enough, by the
 * clock of the test's platform alone: it has no timestamps.
 * - `opengles`: Dawn on OpenGL ES, in WebGPU's compatibility mode: no subgroups, no f16 and no timestamps, and no more than
 * WebGPU's default limits: 256 threads and 16 KiB per workgroup, 8 storage buffers, bindings of 128 MiB.
 * - `runtime`: the adapter of the runtime's own WebGPU, `navigator.gpu`: in Deno that of wgpu and naga, without subgroups.
 */
const adapters: Readonly<Record<string, (create: Create, options: string[]) => GPU>> = {
  amd: (create, options) => withAdapter(create(options), amdAdapter),
  opengles(create, options) {
    // Without a window system; read as the driver is loaded.
    process.env.EGL_PLATFORM ??= 'surfaceless'
    return limitedGpu(create(['backend=opengles', ...options]), 'compatibility', DEFAULT_LIMITS.core)
  },
  runtime() {
    if (typeof navigator === 'undefined' || navigator.gpu === undefined) {
      throw new Error('TEST_ADAPTER is runtime, and this runtime has no WebGPU: run Vitest by Deno')
    }
    return navigator.gpu
  },
}

type Create = typeof Webgpu.create

const name = process.env.TEST_ADAPTER ?? ''
if (name !== '') {
  const adapter = adapters[name]
  if (!adapter) throw new Error(`TEST_ADAPTER is ${name}, expected ${Object.keys(adapters).join(' or ')}`)
  // Of Mesa's software adapter, should it be below: the tests are small, so compiling takes the time, and a kernel for
  // vectors of 128 bits compiles in a sixth of the time of one for 512 (16 numbers at a time). Read as the driver is loaded.
  process.env.LP_NATIVE_VECTOR_WIDTH ??= '128'
  vi.doMock('webgpu', async () => {
    const webgpu = await vi.importActual<typeof Webgpu>('webgpu')
    // Tests that name a backend (the null backend) or an adapter want that.
    const chosen = (options: string[]) => options.some((option) => /^(backend|adapter)=/.test(option))
    const create: Create = (options) => (chosen(options) ? webgpu.create(options) : adapter(webgpu.create, options))
    return { ...webgpu, create }
  })
}

function withAdapter(gpu: GPU, change: (adapter: GPUAdapter) => GPUAdapter): GPU {
  const requestAdapter: GPU['requestAdapter'] = async (options) => {
    const adapter = await gpu.requestAdapter(options)
    return adapter && change(adapter)
  }
  // Holds the real one, with which its devices would die.
  return { requestAdapter, gpu } as unknown as GPU
}

/** Source of the numbers: AMD's RDNA 2 and 3 in Dawn on Vulkan, without matrix units. */
function amdAdapter(adapter: GPUAdapter): GPUAdapter {
  const info = {
    vendor: 'amd',
    architecture: 'rdna-3',
    device: 'test',
    description: 'AMD-like test adapter',
    subgroupMinSize: 32,
    subgroupMaxSize: 64,
    isFallbackAdapter: false,
  }
  return {
    info,
    // No kernel can choose the width of its subgroups, and no kernel is chosen for what this processor takes.
    features: new Set(
      [...adapter.features].filter((name) => !['subgroup-size-control', 'timestamp-query'].includes(name)),
    ),
    limits: adapter.limits,
    requestDevice: adapter.requestDevice.bind(adapter),
  } as unknown as GPUAdapter
}
