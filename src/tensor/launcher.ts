import { DtypeError } from '../base/errors.ts'
import { formatShape } from '../base/format.ts'
import { currentGpu } from '../gpu/device.ts'
import type { LaunchOptions } from '../gpu/kernel.ts'
import type { ShaderName } from '../gpu/shaders.gen.ts'
import { allocate } from './scope.ts'
import { vectorCount, type Spec } from './shape.ts'
import type { Tensor } from './tensor.ts'

/** A tensor whose numbers a kernel will write. */
export function empty(spec: Spec, label?: string): Tensor {
  return allocate({ shape: spec.shape, dtype: spec.dtype }, label)
}

/** Records one dispatch of a shader. Tensors are matched to the shader's bindings by name. */
export function launch(name: ShaderName, bindings: Readonly<Record<string, Tensor>>, options: LaunchOptions): void {
  const { kernels, queue, tracer } = currentGpu()
  const views = Object.fromEntries(Object.entries(bindings).map(([binding, bound]) => [binding, bound.view]))
  for (const bound of Object.values(bindings)) bound.noticed = false
  const prepared = kernels.prepare(name, views, options)
  queue.launch(tracer ? tracer.withOperands(prepared, name, bindings) : prepared)
}

/** Copies the numbers of one tensor to another of the same size in bytes. */
export function copy(source: Tensor, target: Tensor): void {
  currentGpu().queue.copy(source.view, target.view)
  target.noticed = false
}

/** Fills a tensor with zeros. */
export function clear(target: Tensor): void {
  currentGpu().queue.clear(target.view)
}

/** How an element-wise kernel is launched: one thread a vector of four, 64 threads a workgroup. */
export function elementwise(over: Spec): LaunchOptions {
  const vectors = vectorCount(over)
  return { groups: Math.ceil(vectors / 64), shape: { VECTORS: vectors }, dtype: storageDtype(over) }
}

/** The storage type of a float tensor. @throws DtypeError for u32 */
export function storageDtype({ dtype, shape }: Spec): 'f32' | 'f16' {
  if (dtype === 'u32') throw new DtypeError('launch', 'a float tensor is needed', { given: { tensor: formatShape({ shape, dtype }) } })
  return dtype
}
