/**
 * `wgrad/tensor`: tensors, their operations, and how to define another operation with WGSL of its own.
 *
 * @module wgrad/tensor
 */

export { Tensor } from '../tensor/tensor.ts'
export { item, read, tensor, upload, zeros } from '../tensor/read-write.ts'
export { keep, release, scope } from '../tensor/scope.ts'
export { backward } from '../tensor/backward.ts'
export { defineOp, noGrad } from '../tensor/op.ts'
export { clear, copy, elementwise, empty, launch } from '../tensor/launch.ts'
export type { Dtype } from '../tensor/dtype.ts'
export type { Shape } from '../tensor/shape.ts'
export * from '../ops/index.ts'
export { registerShader } from '../gpu/register-shader.ts'
export type { RegisteredShader, ShaderName } from '../gpu/shader-source.ts'
export type { LaunchOptions } from '../gpu/pipeline-cache.ts'
export type { OpDefinition, Saved } from '../tensor/op.ts'

// Types that the others are made of, so that all of them can be named
export type { Kind, Kinds } from '../base/options.ts'
export type { Float } from '../ops/cast.ts'
export type { ElementReduction } from '../ops/plans/element-passes.ts'
export type { Kept } from '../tensor/scope.ts'
export type { Spec } from '../tensor/shape.ts'
export type { Inputs, Leaf, Storage, TapeNode, Target } from '../tensor/tensor.ts'
