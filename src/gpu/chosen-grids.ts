import type { KernelFamily } from './kernel-families.ts'
import type { LaunchOptions } from './pipeline-cache.ts'
import { shaderSource, type ShaderName } from './shader-source.ts'

/** Adapter for which grids are chosen. */
interface Adapter {
  readonly family: KernelFamily
  readonly device: GPUDevice
}

/** Workgroups of a launch, and the constants of the shader that follow from them. */
export type ChosenGrid = Pick<LaunchOptions, 'groups' | 'constants'>

/**
 * Numbers of element-wise passes that only a GPU can decide: threads of a workgroup, which share nothing, so that many of them
 * spare the start of workgroups; vectors per thread at most, a power of two; and workgroups that fill the GPU, four for each of
 * the 132 multiprocessors of an H200.
 *
 * By Little's law 4 TB/s times the 0.7 µs after which memory answers are 2.8 MB on their way, 21 KB per multiprocessor. With
 * one vector per thread 2048 threads have 16 KB per operand in f16, less those that compute, end or have yet to start:
 * `add/forward` reached 1.3 TB/s, where batch norm's forward pass with four rows per thread had 3.2.
 */
export const ELEMENTS = { threads: 256, each: 4, groups: 512 }

/**
 * Numbers of sums of slices that only a GPU can decide: threads of a workgroup; how many of them have vectors side by side: 32 load
 * 512 bytes of f32; and the slices per thread at least: 8 slices of 147,456 vectors take 28 µs by one thread each and 47 µs by
 * eight (H200).
 */
export const SLICES = { threads: 256, lanes: 32, each: 8 }

/**
 * Returns the grid of a kernel that leaves it to the adapter; `undefined` for others, whose launches have their own.
 *
 * @param shape  sizes of the launch
 */
export function chosenGrid(
  adapter: Adapter,
  name: ShaderName,
  shape: Readonly<Record<string, number>>,
): ChosenGrid | undefined {
  if (shaderSource(name).uses.includes('lib/elements')) return elementPass(adapter, shape.VECTORS)
  return name === 'conv2d/reduce-slices' ? sliceSum(adapter, shape.COUNT, shape.SLICES) : undefined
}

/**
 * Returns the grid of an element-wise pass, see shaders/lib/elements.wgsl: one vector of four per thread on a processor; on a GPU
 * as many as leave it enough workgroups.
 */
export function elementPass(adapter: Adapter, vectors: number): ChosenGrid {
  const THREADS = threadsOf(adapter, 64, ELEMENTS.threads)
  const most = adapter.family === 'broadcast' ? 1 : ELEMENTS.each
  const turns = Math.max(1, Math.min(most, vectors / (THREADS * ELEMENTS.groups)))
  const EACH = 2 ** Math.floor(Math.log2(turns))
  return { constants: { THREADS, EACH }, groups: Math.ceil(vectors / (THREADS * EACH)) }
}

/**
 * Returns the grid that adds up slices of a number of vectors, see shaders/conv2d/reduce-slices.wgsl. On a GPU the threads of a
 * workgroup share the slices: a gradient of a few thousand numbers would leave most of it idle otherwise.
 */
export function sliceSum(adapter: Adapter, vectors: number, slices: number): ChosenGrid {
  const rows = adapter.family === 'broadcast' ? 1 : threadsOf(adapter, 64, SLICES.threads) / SLICES.lanes
  const ROWS = 2 ** Math.floor(Math.log2(Math.max(1, Math.min(slices / SLICES.each, rows))))
  const LANES = ROWS === 1 ? 64 : SLICES.lanes
  return { constants: { LANES, ROWS }, groups: Math.ceil(vectors / LANES) }
}

/** Returns the threads of a workgroup: in compatibility mode a device may allow no more than 128. */
function threadsOf({ family, device: { limits } }: Adapter, onProcessor: number, onGpu: number): number {
  return family === 'broadcast' ? onProcessor : Math.min(onGpu, limits.maxComputeInvocationsPerWorkgroup)
}
