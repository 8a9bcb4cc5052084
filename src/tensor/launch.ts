import { DtypeError } from '../base/errors.ts'
import { formatShape } from '../base/format.ts'
import { ANY, checkArgument, checkOptions, nearest, type Kinds } from '../base/options.ts'
import { currentGpu } from '../gpu/device.ts'
import type { PipelineCache, LaunchOptions } from '../gpu/pipeline-cache.ts'
import type { Launch } from '../gpu/launch.ts'
import { shaderSource, type ShaderName } from '../gpu/shader-source.ts'
import { markChecked, withOverflowFlag } from './overflow.ts'
import { allocate } from './scope.ts'
import { vectorCount, type Spec } from './shape.ts'
import { TENSOR, type Tensor } from './tensor.ts'
import { currentTrack } from './track.ts'

/**
 * Names of the options of a launch. Only names are checked, as there are many launches in a step, and only those that look
 * like one of these are refused: an operation may pass its whole plan.
 */
const LAUNCH_KINDS: Kinds<LaunchOptions> = {
  groups: ANY,
  shape: ANY,
  constants: ANY,
  dtype: ANY,
  detail: ANY,
  flops: ANY,
  track: ANY,
}

/** Names that were seen and are no misspelling. */
const harmless = new Set<string>(Object.keys(LAUNCH_KINDS))

function checkOption(where: string, option: string, options: LaunchOptions): void {
  if (nearest(option, Object.keys(LAUNCH_KINDS)) !== undefined) checkOptions(where, options, LAUNCH_KINDS)
  harmless.add(option)
}

/** Returns a tensor with unspecified contents, which a kernel will write. */
export function empty(spec: Spec, label?: string): Tensor {
  return allocate({ shape: spec.shape, dtype: spec.dtype }, label)
}

/**
 * Encodes one dispatch of a shader. Tensors are matched to the bindings of the shader by name.
 *
 * @throws DtypeError   if a tensor has another type than the shader declares, or than the `dtype` of the launch
 * @throws ShaderError  if bindings, sizes or constants are not those of the shader
 * @throws OptionError  if something else than a tensor is bound, or an option is misspelt
 */
export function launch(name: ShaderName, bindings: Readonly<Record<string, Tensor>>, options: LaunchOptions): void {
  if (!(options instanceof Object)) checkOptions(name, options, LAUNCH_KINDS)
  for (const option in options) if (!harmless.has(option)) checkOption(name, option, options)
  const { pipelines, queue, tracer } = currentGpu()
  withOverflowFlag(name, bindings, (complete) => {
    const prepared = prepareLaunch(pipelines, name, complete, options)
    queue.launch(tracer ? tracer.withOperands(prepared, name, complete) : prepared)
  })
}

/** Prepares one dispatch of a shader on tensors without encoding it. @throws as `launch` */
export function prepareLaunch(
  pipelines: PipelineCache,
  name: ShaderName,
  bindings: Readonly<Record<string, Tensor>>,
  options: LaunchOptions,
): Launch {
  requireTypes(name, bindings, options.dtype ?? 'f32')
  const views = Object.fromEntries(
    Object.entries(bindings).flatMap(([binding, bound]) => (bound ? [[binding, bound.view]] : [])),
  )
  return pipelines.prepare(name, views, { track: currentTrack(), ...options })
}

/** Requires tensors of the types that the shader reads, since others would silently give wrong numbers. @throws DtypeError */
function requireTypes(name: ShaderName, bindings: Readonly<Record<string, Tensor>>, storage: 'f32' | 'f16'): void {
  for (const { name: binding, holds } of shaderSource(name).bindings) {
    const bound = bindings[binding]
    // A missing one is reported by the pipeline cache. The numbers of a struct have 32 bits each.
    const expected = holds === 'storage' ? storage : holds
    if (bound) checkArgument(name, binding, bound, TENSOR)
    if (!bound || bound.dtype === expected || (expected === 'struct' && bound.dtype !== 'f16')) continue
    throw new DtypeError(name, `${binding} has the wrong type`, {
      given: { [binding]: bound, 'dtype of the launch': storage },
      expected:
        holds === 'storage'
          ? `${storage}, the dtype of the launch`
          : `${holds === 'struct' ? 'f32 or u32' : holds}, whatever the dtype of the launch`,
      fix:
        holds === 'storage'
          ? 'launch with the dtype of the tensors, such as that of elementwise(tensor), or cast the tensor'
          : 'cast the tensor',
    })
  }
}

/** Copies the numbers of one tensor to another of the same size in bytes. */
export function copy(source: Tensor, target: Tensor): void {
  currentGpu().queue.copy(source.view, target.view)
  markChecked(target, false)
}

/** Fills a tensor with zeros. */
export function clear(target: Tensor): void {
  currentGpu().queue.clear(target.view)
}

/**
 * Returns launch options of an element-wise kernel: one thread per vector of four, 64 threads per workgroup. Kernels of the
 * library have several vectors per thread on a GPU.
 */
export function elementwise(over: Spec): LaunchOptions {
  const vectors = vectorCount(over)
  return { groups: Math.ceil(vectors / 64), shape: { VECTORS: vectors }, dtype: storageDtype(over) }
}

/** Returns the storage type of a float tensor. @throws DtypeError  for u32 */
export function storageDtype({ dtype, shape }: Spec): 'f32' | 'f16' {
  if (dtype === 'u32') {
    throw new DtypeError('launch', 'the tensor must hold floats', { given: { tensor: formatShape({ shape, dtype }) } })
  }
  return dtype
}
