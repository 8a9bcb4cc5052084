import type { KernelFamily } from './kernel-families.ts'
import type { LaunchOptions } from './pipeline-cache.ts'
import { shaderSource, type ShaderName } from './shader-source.ts'
import { mostThreads } from './workgroup.ts'

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
 * A GPU fills its memory only if enough loads are on their way: by Little's law 4 TB/s times the 0.7 µs after which memory
 * answers, 2.8 MB or 21 KB per multiprocessor. With one vector per thread 2048 threads have 16 KB per operand in f16, less
 * those that compute, end or have yet to start, and `add/forward` reaches 1.3 TB/s; with four it reaches 2.8 (H200).
 */
export const ELEMENTS = { threads: 256, each: 4, groups: 512 }
/** Threads of a workgroup and vectors per thread where a processor computes. */
const ON_PROCESSOR = { threads: 64, each: 1 }

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
  return shaderSource(name).uses.includes('lib/elements') ? elementPass(adapter, shape.VECTORS) : undefined
}

/**
 * Returns the grid of an element-wise pass, see shaders/lib/elements.wgsl: one vector of four per thread on a processor; on a GPU
 * as many as leave it enough workgroups.
 */
export function elementPass(adapter: Adapter, vectors: number): ChosenGrid {
  const { threads, each } =
    adapter.family === 'broadcast'
      ? ON_PROCESSOR
      : { threads: Math.min(ELEMENTS.threads, mostThreads(adapter.device.limits)), each: ELEMENTS.each }
  const turns = Math.max(1, Math.min(each, vectors / (threads * ELEMENTS.groups)))
  const EACH = 2 ** Math.floor(Math.log2(turns))
  return { constants: { THREADS: threads, EACH }, groups: Math.ceil(vectors / (threads * EACH)) }
}
