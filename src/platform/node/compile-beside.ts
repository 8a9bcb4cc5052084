import { availableParallelism } from 'node:os'
import type { CompileBeside, KernelText } from '../platform.ts'
import { waitFor } from './gpu.ts'

/** Fewest kernels worth a device of their own, which opens in 12 ms: a first step has some 30, an operation one to three. */
const FEWEST = 8

/** Most devices that compile beside the one that computes: each of four threads has a quarter of the work, a fifth saves a twentieth. */
const MOST_DEVICES = 3

/**
 * Milliseconds within which a long kernel must have come from the cache: that takes some 30, compiling it 440 to 560 (two
 * processors of a Xeon, 512 bits; bench/results/steps-lavapipe.md).
 */
const CACHED_MS = 60

/** Size of a buffer that is bound and not read, which WebGPU wants as large as a shader declares it: no uniform is larger. */
const BOUND_BYTES = 1 << 16

/** Name of an adapter whose driver compiles as `compileBeside` says. */
const LLVMPIPE = /^llvmpipe: Mesa/

/**
 * Returns a function that compiles kernels for Mesa's software adapter on further devices, from the last to the first, while
 * the device that computes goes from the first to the last. That driver makes machine code when a kernel is first launched, on
 * one thread for each device, and keeps it on the disk, where the other devices find it: a first step of xresnet18 with an empty
 * cache takes 4.4 s so in place of 6.5 (bench/results/steps-lavapipe.md).
 *
 * @param adapter     name of the adapter
 * @param openDevice  function that opens a device of it, with the same features as the one that computes
 * @param most        number of devices. Default: one fewer than processors, at most 3
 * @returns  undefined where nothing is gained: on other adapters, on a single processor, without a cache
 */
export function compileBeside(
  adapter: string,
  openDevice: () => Promise<GPUDevice>,
  most = Math.min(availableParallelism() - 1, MOST_DEVICES),
): CompileBeside | undefined {
  const cacheless = /^(1|true|yes)$/i.test(process.env['MESA_SHADER_CACHE_DISABLE'] ?? '')
  if (!LLVMPIPE.test(adapter) || most < 1 || cacheless) return undefined
  return async (kernels, isOver) => {
    if (kernels.length < FEWEST) return 0
    let compiled = 0
    const left = telling(kernels)
    const next = async (compile: Compile): Promise<boolean> => {
      const kernel = isOver() ? undefined : left.pop()
      if (kernel && (await compile(kernel))) compiled++
      return kernel !== undefined
    }
    const rest = async (compile: Compile): Promise<void> => {
      while (await next(compile));
    }
    const onDevice = async (work: (compile: Compile) => Promise<void>): Promise<void> => {
      const device = await openDevice()
      try {
        await work(compilerOn(device))
      } finally {
        device.destroy()
      }
    }
    await onDevice(async (compile) => {
      const start = performance.now()
      await next(compile)
      if (performance.now() - start < CACHED_MS) return
      const others = Array.from({ length: most - 1 }, () => onDevice(rest))
      // One that is refused or lost leaves the kernels to the others.
      await Promise.allSettled([rest(compile), ...others])
    })
    return compiled
  }
}

/**
 * Returns kernels with the longest of the second half as the last, which is compiled first: its time tells whether the cache
 * has them, and the device that computes comes to it late.
 */
function telling(kernels: readonly KernelText[]): KernelText[] {
  const late = kernels.slice(kernels.length / 2)
  const longest = late.reduce((one, other) => (other.code.length > one.code.length ? other : one))
  return [...kernels.filter((kernel) => kernel !== longest), longest]
}

/** Function that makes a driver compile a kernel. It returns false if there is an error, which the device that computes reports. */
type Compile = (kernel: KernelText) => Promise<boolean>

/** Returns a function that makes a device's driver compile a kernel, by a launch of no workgroups. */
function compilerOn(device: GPUDevice): Compile {
  const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.STORAGE
  const buffers = new Map<string, GPUBuffer>()
  const bound = (place: string): GPUBuffer => {
    const buffer = buffers.get(place) ?? device.createBuffer({ size: BOUND_BYTES, usage })
    buffers.set(place, buffer)
    return buffer
  }
  // Three zeros. Dawn leaves out direct launches of no workgroups.
  const noWorkgroups = device.createBuffer({ size: 12, usage: GPUBufferUsage.INDIRECT })
  return async ({ code, layouts }) => {
    device.pushErrorScope('validation')
    const bindGroupLayouts = layouts.map((layout) => device.createBindGroupLayout(layout))
    const pipeline = device.createComputePipeline({
      layout: device.createPipelineLayout({ bindGroupLayouts }),
      compute: { module: device.createShaderModule({ code }), entryPoint: 'main' },
    })
    const encoder = device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    pass.setPipeline(pipeline)
    for (const [i, layout] of bindGroupLayouts.entries()) {
      const entries = layouts[i].entries.map(({ binding }) => ({
        binding,
        resource: { buffer: bound(`${i} ${binding}`) },
      }))
      pass.setBindGroup(i, device.createBindGroup({ layout, entries }))
    }
    pass.dispatchWorkgroupsIndirect(noWorkgroups, 0)
    pass.end()
    device.queue.submit([encoder.finish()])
    // A lost device may reject both, and only the first that is waited for would be heard.
    const error = device.popErrorScope().catch(() => null)
    await waitFor(device.queue.onSubmittedWorkDone())
    return (await error) === null
  }
}
