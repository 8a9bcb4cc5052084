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

/** One dispatch of a shader, ready to be encoded. */
export interface Launch {
  /** Name of the shader, and after a space the detail of the caller. */
  readonly label: string
  readonly pipeline: GPUComputePipeline
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

/** Encodes one dispatch in a pass. */
export function encodeLaunch(pass: GPUComputePassEncoder, { pipeline, groups, grid }: Launch): void {
  pass.setPipeline(pipeline)
  for (let i = 0; i < groups.length; i++) pass.setBindGroup(i, groups[i])
  pass.dispatchWorkgroups(grid[0], grid[1], grid[2])
}
