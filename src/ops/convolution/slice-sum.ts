import type { Gpu } from '../../gpu/device.ts'
import type { LaunchOptions } from '../../gpu/pipeline-cache.ts'
import { mostThreads } from '../../gpu/workgroup.ts'
import { elementCount, vectorCount, type Spec } from '../../tensor/shape.ts'
import '../../gpu/wgsl/conv2d/reduce-slices.ts'

/**
 * Numbers of conv2d/reduce-slices that only a GPU can decide: threads of a workgroup; how many of them have vectors side by side:
 * 32 load 512 bytes of f32; and the slices per thread at least: 8 slices of 147,456 vectors take 28 µs by one thread each and
 * 47 µs by eight (H200).
 */
const ON_GPU = { threads: 256, lanes: 32, each: 8 }
/** Vectors side by side in a workgroup whose threads have all slices of a vector each. */
const LANES_ALONE = 64

/**
 * Returns the launch that adds up the slices of a gradient of filters. On a GPU the threads of a workgroup share the slices: a
 * gradient of a few thousand numbers would leave most of it idle otherwise.
 */
export function sliceSum(gpu: Pick<Gpu, 'family' | 'device'>, dw: Spec, SLICES: number) {
  const COUNT = vectorCount(dw)
  const threads = Math.min(ON_GPU.threads, mostThreads(gpu.device.limits))
  const most = gpu.family === 'broadcast' ? 1 : threads / ON_GPU.lanes
  const ROWS = 2 ** Math.floor(Math.log2(Math.max(1, Math.min(SLICES / ON_GPU.each, most))))
  const LANES = ROWS === 1 ? LANES_ALONE : ON_GPU.lanes
  const options: LaunchOptions & { readonly shape: { readonly COUNT: number; readonly SLICES: number } } = {
    groups: Math.ceil(COUNT / LANES),
    shape: { COUNT, SLICES },
    constants: { LANES, ROWS },
    flops: SLICES * elementCount(dw.shape),
  }
  return { shader: 'conv2d/reduce-slices', options } as const
}
