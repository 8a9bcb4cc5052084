import type { BufferView } from './buffers.ts'

/** Tensor as tracing sees it. */
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

/** One dispatch, ready to be encoded. */
export interface Launch {
  /** Shader and, behind a space, what it works on. */
  readonly label: string
  readonly pipeline: GPUComputePipeline
  readonly groups: readonly GPUBindGroup[]
  /** Buffers that it binds, as text: two launches with the same text bind the same. */
  readonly buffers: string
  readonly grid: readonly [number, number, number]
  /** Arithmetic operations; 0 where the caller gave none. */
  readonly flops: number
  /** Bytes of everything bound. */
  readonly bytes: number
  /** Label of the caller's, by which profiles group launches. */
  readonly track: string
  /** Tensors that it reads and writes; only where launches are traced. */
  readonly operands?: readonly Operand[]
}

/** Encodes one dispatch in a pass. */
export function encodeLaunch(pass: GPUComputePassEncoder, { pipeline, groups, grid }: Launch): void {
  pass.setPipeline(pipeline)
  for (let i = 0; i < groups.length; i++) pass.setBindGroup(i, groups[i])
  pass.dispatchWorkgroups(grid[0], grid[1], grid[2])
}
