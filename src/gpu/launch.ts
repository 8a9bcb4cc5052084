import type { KernelText } from '../platform/platform.ts'
import type { BufferView } from './buffers.ts'

/** Properties of a tensor that tracing needs. */
export interface TracedTensor {
  readonly shape: readonly number[]
  readonly dtype: 'f32' | 'f16' | 'u32'
  /** Path of a parameter; undefined for any other tensor. */
  readonly name: string | undefined
  readonly view: BufferView
}

/** Tensor that a launch binds. */
export interface Operand {
  readonly binding: string
  readonly writes: boolean
  readonly tensor: TracedTensor
}

/** Compiled shader, or one that is being compiled. */
export interface Kernel {
  /** Undefined until it is compiled. */
  pipeline: GPUComputePipeline | undefined
  readonly text: KernelText
  /** Promise that is settled once there is a pipeline, which is invalid if the shader did not compile. */
  readonly ready: Promise<void>
}

/** One dispatch of a shader, to be encoded once its kernel is ready. */
export interface Launch {
  /** Name of the shader, and after a space the detail of the caller. */
  readonly label: string
  readonly kernel: Kernel
  readonly groups: readonly GPUBindGroup[]
  /** Key of the bound buffers: two launches with the same key bind the same buffers. */
  readonly buffers: string
  readonly grid: readonly [number, number, number]
  /** Number of arithmetic operations; 0 if the caller gave none. */
  readonly flops: number
  /** Size of all bound buffers, in bytes. */
  readonly bytes: number
  /** Label by which profiles group launches, given by the caller. */
  readonly track: string
  /** Tensors that the launch reads and writes; undefined unless launches are traced. */
  readonly operands?: readonly Operand[]
}

/** Encodes one dispatch of a kernel that is ready in a pass. */
export function encodeLaunch(pass: GPUComputePassEncoder, { label, kernel, groups, grid }: Launch): void {
  if (!kernel.pipeline) throw new Error(`encodeLaunch: ${label} is not compiled yet`)
  pass.setPipeline(kernel.pipeline)
  for (let i = 0; i < groups.length; i++) pass.setBindGroup(i, groups[i])
  pass.dispatchWorkgroups(grid[0], grid[1], grid[2])
}
