import { ShaderError } from '../base/errors.ts'
import type { BuffersLayout } from '../platform/platform.ts'
import { ALIGNMENT, type BufferView } from './buffers.ts'
import { inErrorScope } from './error-scope.ts'
import { BUFFER_USAGE, GRID_LIMIT, SHADER_STAGE } from './flags.ts'
import type { Kernel, Launch } from './launch.ts'
import { specialise, type ConstantValue } from './prelude.ts'
import { shaderPlace, shaderSource, type ShaderName, type ShaderSource } from './shader-source.ts'

/** Options of a launch. */
export interface LaunchOptions {
  /** Number of workgroups (see `workgroupIndex` in shaders/README.md), or the grid itself. */
  readonly groups: number | readonly [number, number, number]
  /** Values of the shader's `@shape`. */
  readonly shape?: Readonly<Record<string, number>>
  /** Values of the shader's `@const`. */
  readonly constants?: Readonly<Record<string, ConstantValue>>
  /** Storage type of `T4`. Default f32. */
  readonly dtype?: 'f32' | 'f16'
  /** Text after the name of the shader in every profile and message, such as the shape of an operand. */
  readonly detail?: string
  /** Number of arithmetic operations, if profiles should show a rate. */
  readonly flops?: number
  /** Label by which profiles group launches. Default '' */
  readonly track?: string
}

/** Function that is called for every kernel that is compiled. */
export type OnCompile = (shader: ShaderName, options: LaunchOptions, code: string) => void

/** Function that chooses the grid of a kernel that leaves it to the adapter. */
export type ChooseGrid = (
  name: ShaderName,
  shape: Readonly<Record<string, number>>,
) => Pick<LaunchOptions, 'groups' | 'constants'> | undefined

/** Properties of an adapter on which its kernels depend. */
export interface PipelineAdapter {
  /** True if sizes are a uniform, so that one pipeline serves every shape: for adapters on which compilation is slow. */
  readonly shapeAsUniform: boolean
  /** See `Specialisation.subgroupSize`. */
  readonly subgroupSize: number
  /** See `Specialisation.pinSubgroups`. */
  readonly pinSubgroups?: boolean
  /** See `Matrices.emulated`. */
  readonly emulateMatrices: boolean
  /** See `Specialisation.nativeHalves`. */
  readonly nativeHalves?: boolean
  /** True if kernels are compiled before `prepare` returns, for callers that encode launches at once. Default false */
  readonly atOnce?: boolean
  /** See `chosenGrid`. Default: every launch has its own grid */
  readonly chooseGrid?: ChooseGrid
}

interface Pipeline {
  readonly kernel: Kernel
  readonly layout: GPUBindGroupLayout
  readonly shapeLayout: GPUBindGroupLayout | undefined
  readonly groups: Map<string, BindGroup>
}

interface BindGroup {
  readonly group: GPUBindGroup
  /** Number of sweeps before its last use. */
  used: number
}

/**
 * Number of bind groups at which the cache is swept: those not used since the previous sweep, of released tensors, are
 * evicted. A bind group takes about 5 KB; the step of an xresnet50 has some 700.
 */
const FEWEST_TO_SWEEP = 2048

/** Advice after an error of the GPU. */
export const ANEW =
  'This GPU may have computed with stale numbers and cannot be used any more: gpu.close(), await openGpu(), and make loaders, model and learner again'

const BINDING_TYPES = { read: 'read-only-storage', read_write: 'storage', uniform: 'uniform' } as const

/**
 * Cache of the pipelines of shaders and of the bind groups of buffers, each made once.
 *
 * Kernels are compiled while the thread goes on, as many at a time as the driver can: the queue holds launches back until
 * theirs is ready (see `Queue`), so that a first step, which needs some 130 kernels, asks for all of them at once.
 */
export class PipelineCache {
  private readonly device: GPUDevice
  private readonly adapter: PipelineAdapter
  private readonly report: (error: Error) => void
  private readonly onCompile: OnCompile | undefined
  /** Number of launches that were prepared; a replay prepares none. */
  prepared = 0
  /** Promise that is settled once everything compiled so far has been checked. */
  compiled: Promise<unknown> = Promise.resolve()
  private readonly pipelines = new Map<string, Pipeline>()
  private readonly shapes = new Map<string, GPUBindGroup>()
  private groupCount = 0
  private sweeps = 0
  private sweepAt = FEWEST_TO_SWEEP

  constructor(device: GPUDevice, adapter: PipelineAdapter, report: (error: Error) => void, onCompile?: OnCompile) {
    this.device = device
    this.adapter = adapter
    this.report = report
    this.onCompile = onCompile
  }

  /** Number of pipelines. */
  get count(): number {
    return this.pipelines.size
  }

  /** Returns a launch of a shader on buffers, matched to its bindings by name. @throws ShaderError  if they do not match */
  prepare(name: ShaderName, bindings: Readonly<Record<string, BufferView>>, given: LaunchOptions): Launch {
    this.prepared++
    const source = shaderSource(name)
    const options = this.completed(name, given)
    const pipeline = this.pipeline(name, source, options)
    const buffers = buffersKey(name, source, bindings)
    const groups = [this.bindGroup(name, source, pipeline, bindings, buffers)]
    if (pipeline.shapeLayout) groups.push(this.shapeGroup(name, source, pipeline.shapeLayout, options.shape ?? {}))
    let bytes = 0
    for (const binding of source.bindings) bytes += bindings[binding.name].size
    return {
      label: options.detail === undefined ? name : `${name} ${options.detail}`,
      kernel: pipeline.kernel,
      groups,
      buffers,
      grid: grid(name, options.groups),
      flops: options.flops ?? 0,
      bytes,
      track: options.track ?? '',
    }
  }

  /** Evicts all bind groups; called when buffers are destroyed. */
  forgetBuffers(): void {
    for (const pipeline of this.pipelines.values()) pipeline.groups.clear()
    this.groupCount = 0
  }

  /** Number of bind groups of buffers. */
  get bindGroups(): number {
    return this.groupCount
  }

  /** Evicts the bind groups not used since the previous sweep; they are made again if needed. */
  private sweepGroups(): void {
    for (const { groups } of this.pipelines.values()) {
      for (const [key, { used }] of groups) {
        if (used < this.sweeps && groups.delete(key)) this.groupCount--
      }
    }
    this.sweeps++
    // Work that needs many bind groups keeps them.
    this.sweepAt = Math.max(FEWEST_TO_SWEEP, 2 * this.groupCount)
  }

  /**
   * Compiles the kernel of a launch without blocking the thread, several at a time if the driver can. A kernel that does
   * not compile is reported when it is launched.
   */
  async compileAhead(name: ShaderName, given: LaunchOptions): Promise<void> {
    const options = this.completed(name, given)
    try {
      const key = this.keyOf(name, options)
      if (this.pipelines.has(key)) return
      const [{ compiling, text, layout, shapeLayout }] = inErrorScope(this.device, () => {
        const { descriptor, ...layouts } = this.describe(name, options)
        return { ...layouts, compiling: this.device.createComputePipelineAsync(descriptor).catch(() => undefined) }
      })
      const pipeline = await compiling
      if (pipeline && !this.pipelines.has(key)) {
        const kernel = { pipeline, text, ready: Promise.resolve() }
        this.pipelines.set(key, { kernel, layout, shapeLayout, groups: new Map() })
      }
    } catch (error) {
      // `prepare` finds it again and reports it in full.
      if (!(error instanceof ShaderError)) throw error
    }
  }

  /** Returns the options of a launch with the grid that the adapter chooses, unless the launch says how many vectors a thread has. */
  private completed(name: ShaderName, options: LaunchOptions): LaunchOptions {
    const { shape = {}, constants = {} } = options
    if (constants.EACH !== undefined) return options
    const chosen = this.adapter.chooseGrid?.(name, shape)
    if (!chosen) return options
    const groups = typeof options.groups === 'number' ? chosen.groups : options.groups
    return { ...options, groups, constants: { ...chosen.constants, ...constants } }
  }

  private pipeline(name: ShaderName, source: ShaderSource, options: LaunchOptions): Pipeline {
    const key = this.keyOf(name, options)
    const known = this.pipelines.get(key)
    if (known) return known
    const made = this.compile(name, source, options)
    this.pipelines.set(key, made)
    return made
  }

  /** Returns the key of a pipeline: everything that distinguishes it from others. */
  private keyOf(name: ShaderName, options: LaunchOptions): string {
    const { shape } = shaderSource(name)
    const constants = options.constants ?? {}
    for (const field of shape) {
      const size = options.shape?.[field]
      if (size === undefined) throw new ShaderError(name, `the launch gives no value for shape.${field}`)
      // Another number would become a different one in a uniform, and no number of WGSL as a constant.
      if (size >>> 0 !== size) {
        throw new ShaderError(name, `shape.${field} is not a size`, {
          given: { [field]: size },
          expected: 'a whole number from 0 to 4294967295',
        })
      }
    }
    let key = `${name}|${options.dtype ?? 'f32'}`
    for (const constant in constants) key += `|${constant}=${constants[constant]}`
    if (!this.adapter.shapeAsUniform) for (const field of shape) key += `|${options.shape?.[field]}`
    return key
  }

  private compile(name: ShaderName, source: ShaderSource, options: LaunchOptions): Pipeline {
    const { device } = this
    const [{ described, made, compiling }, scope] = inErrorScope(device, () => {
      const described = this.describe(name, options)
      const { descriptor } = described
      const made = this.adapter.atOnce ? device.createComputePipeline(descriptor) : undefined
      return {
        described,
        made,
        compiling: made ?? device.createComputePipelineAsync(descriptor).catch(() => undefined),
      }
    })
    const { text, lines, layout, shapeLayout, descriptor } = described
    const finish = async (): Promise<void> => {
      let pipeline = await compiling
      let error = await scope
      if (!pipeline) {
        // Again, for an error with the place in the shader, and so that there is a pipeline, invalid as it is.
        const [invalid, found] = inErrorScope(device, () => device.createComputePipeline(descriptor))
        pipeline = invalid
        error ??= await found
      }
      kernel.pipeline = pipeline
      if (error) this.report(await compilationError(name, source, descriptor.compute.module, error, text.code, lines))
    }
    const kernel: { -readonly [Key in keyof Kernel]: Kernel[Key] } = { pipeline: made, text, ready: Promise.resolve() }
    // A lost device may answer nothing here; `device.lost` reports it.
    kernel.ready = finish().catch(() => undefined)
    this.compiled = Promise.all([this.compiled, kernel.ready])
    return { kernel, layout, shapeLayout, groups: new Map() }
  }

  private describe(name: ShaderName, options: LaunchOptions) {
    const { device, adapter } = this
    const source = shaderSource(name)
    const { code, lines } = specialise(name, source, {
      ...adapter,
      dtype: options.dtype ?? 'f32',
      constants: options.constants ?? {},
      shape: adapter.shapeAsUniform ? undefined : (options.shape ?? {}),
    })
    this.onCompile?.(name, options, code)
    const visibility = SHADER_STAGE.COMPUTE
    const layouts: BuffersLayout[] = [
      {
        label: name,
        entries: source.bindings.map(({ index, access }) => ({
          binding: index,
          visibility,
          buffer: { type: BINDING_TYPES[access] },
        })),
      },
    ]
    if (adapter.shapeAsUniform && source.shape.length > 0) {
      layouts.push({ label: `${name} shape`, entries: [{ binding: 0, visibility, buffer: { type: 'uniform' } }] })
    }
    const bindGroupLayouts = layouts.map((layout) => device.createBindGroupLayout(layout))
    const [layout, shapeLayout] = bindGroupLayouts
    const descriptor = {
      label: name,
      layout: device.createPipelineLayout({ bindGroupLayouts }),
      compute: { module: device.createShaderModule({ code, label: name }), entryPoint: 'main' },
    }
    return { text: { code, layouts }, lines, layout, shapeLayout, descriptor }
  }

  private bindGroup(
    name: string,
    source: ShaderSource,
    pipeline: Pipeline,
    bindings: Readonly<Record<string, BufferView>>,
    key: string,
  ): GPUBindGroup {
    const known = pipeline.groups.get(key)
    if (known) {
      known.used = this.sweeps
      return known.group
    }
    for (const given in bindings) {
      if (!source.bindings.some((binding) => binding.name === given)) {
        throw new ShaderError(name, `there is no binding '${given}'`, {
          given: { declared: source.bindings.map((b) => b.name).join(' ') },
        })
      }
      if (bindings[given].offset % ALIGNMENT !== 0) {
        throw new ShaderError(
          name,
          `'${given}' begins at byte ${bindings[given].offset}, not at a multiple of ${ALIGNMENT}`,
        )
      }
    }
    requireDistinct(name, source, bindings)
    const group = this.device.createBindGroup({
      label: name,
      layout: pipeline.layout,
      entries: source.bindings.map(({ index, name: binding }) => {
        const { buffer, offset, size } = bindings[binding]
        return { binding: index, resource: { buffer: buffer.buffer, offset, size } }
      }),
    })
    if (this.groupCount >= this.sweepAt) this.sweepGroups()
    this.groupCount++
    pipeline.groups.set(key, { group, used: this.sweeps })
    return group
  }

  /** Returns the bind group of a uniform of sizes, one per shader and sizes, filled once. */
  private shapeGroup(
    name: string,
    source: ShaderSource,
    layout: GPUBindGroupLayout,
    shape: Readonly<Record<string, number>>,
  ): GPUBindGroup {
    let key = name
    for (const field of source.shape) key += ` ${shape[field]}`
    const known = this.shapes.get(key)
    if (known) return known
    const values = new Uint32Array(Math.ceil(source.shape.length / 4) * 4)
    source.shape.forEach((field, i) => (values[i] = shape[field]))
    const usage = BUFFER_USAGE.UNIFORM | BUFFER_USAGE.COPY_DST
    const buffer = this.device.createBuffer({ size: values.byteLength, usage, label: `shape of ${name}` })
    this.device.queue.writeBuffer(buffer, 0, values)
    const group = this.device.createBindGroup({
      label: `${name} shape`,
      layout,
      entries: [{ binding: 0, resource: { buffer } }],
    })
    this.shapes.set(key, group)
    return group
  }
}

/** Returns the key of the buffers that a launch binds. @throws ShaderError  if one is missing */
function buffersKey(name: string, source: ShaderSource, bindings: Readonly<Record<string, BufferView>>): string {
  let key = ''
  for (const { name: binding } of source.bindings) {
    const view = bindings[binding]
    if (view === undefined) {
      throw new ShaderError(name, `no buffer for '${binding}'`, { given: { buffers: Object.keys(bindings).join(' ') } })
    }
    key += `${view.buffer.id}:${view.offset}:${view.size} `
  }
  return key
}

/**
 * Requires that a buffer which a kernel writes is bound once: the device would refuse the launch, and with it everything after
 * it.
 *
 * @throws ShaderError  if it is not
 */
function requireDistinct(
  name: string,
  { bindings: all }: ShaderSource,
  views: Readonly<Record<string, BufferView>>,
): void {
  for (const written of all.filter(({ access }) => access === 'read_write')) {
    const own = views[written.name]
    const other = all.find((one) => {
      const { buffer, offset, size } = views[one.name]
      const overlaps = offset < own.offset + own.size && own.offset < offset + size
      return one !== written && buffer === own.buffer && (overlaps || one.access !== 'read_write')
    })
    if (!other) continue
    throw new ShaderError(name, `'${other.name}' and '${written.name}', which is written, are in one buffer`, {
      fix: 'give the result a tensor of its own: empty(…)',
    })
  }
}

function grid(name: string, groups: LaunchOptions['groups']): readonly [number, number, number] {
  const sizes =
    typeof groups === 'number' ? ([Math.min(groups, GRID_LIMIT), Math.ceil(groups / GRID_LIMIT), 1] as const) : groups
  const fits = (size: unknown) => Number.isInteger(size) && Number(size) >= 1 && Number(size) <= GRID_LIMIT
  if (Array.isArray(sizes) && sizes.length === 3 && sizes.every(fits)) return sizes
  throw new ShaderError(name, 'the grid does not fit a dispatch', {
    given: { groups: String(groups) },
    expected: `a number of workgroups or [x, y, z], 1 to ${GRID_LIMIT} workgroups per dimension`,
  })
}

/** Returns an error with the compiler's message and the line of the `.wgsl` file that it is about. */
async function compilationError(
  name: string,
  source: ShaderSource,
  module: GPUShaderModule,
  error: GPUError,
  code: string,
  lines: number,
): Promise<Error> {
  const info = await module.getCompilationInfo()
  const message = info.messages.find(({ type }) => type === 'error')
  if (!message) return new ShaderError(shaderPlace(name), error.message.trimEnd(), { fix: ANEW })
  const line = message.lineNum - lines
  const where = line > 0 ? `${shaderPlace(name)}:${line}:${message.linePos}` : `${shaderPlace(name)}, prelude`
  const quoted = line > 0 ? source.text.split('\n')[line - 1] : code.split('\n')[message.lineNum - 1]
  return new ShaderError(where, message.message.trimEnd(), {
    given: {
      [String(line > 0 ? line : message.lineNum)]: quoted ?? '',
      '': ' '.repeat(Math.max(0, message.linePos - 1)) + '^',
    },
    fix: ANEW,
  })
}
