import { DeviceError, OptionError } from '../base/errors.ts'
import { checkOptions, FLAG, TEXT } from '../base/options.ts'
import type { Platform } from '../platform/platform.ts'
import { BufferPool } from './buffers.ts'
import { debugLevel, inUseText, kernelWatch, type DebugLevel } from './debug.ts'
import { PipelineCache, type OnCompile } from './pipeline-cache.ts'
import { matricesOf, type Matrices } from './matrices.ts'
import { Profiler, profileShares, profileTable, profileTrace } from './profile.ts'
import { Queue } from './queue.ts'
import { Statistics } from './statistics.ts'
import { Tracer } from './trace.ts'

export interface GpuOptions {
  /** Which adapter to ask for. Default: what the setting `GPU` says, else the fastest there is. */
  readonly adapter?: (typeof ADAPTERS)[number]
  /** Time every launch (see gpu/profile.ts). Default false. */
  readonly profile?: boolean
  /** Where the sizes of a launch stand in its shader. Default: a uniform on software adapters, constants elsewhere. */
  readonly shapes?: (typeof SHAPES)[number]
  /** Family of kernels to prefer. Default: see `Gpu.family`. */
  readonly family?: KernelFamily
}

/**
 * `broadcast` shares operands by subgroup broadcast and uses no workgroup memory, which is what a software adapter is
 * good at; `tile` stages tiles in workgroup memory and needs no feature at all; `matrix` multiplies f16 operands on
 * matrix units (emulated, and slow, where there are none), and is `tile` for everything else.
 */
export type KernelFamily = (typeof KERNEL_FAMILIES)[number]

const ADAPTERS = ['software', 'discrete'] as const
const SHAPES = ['uniform', 'constant'] as const
export const KERNEL_FAMILIES = ['broadcast', 'tile', 'matrix'] as const

/** Features used where they are there. None is required: kernels that want one have a family that does without. */
const WANTED_FEATURES = [
  'subgroups',
  'shader-f16',
  'timestamp-query',
  'chromium-experimental-subgroup-matrix',
  'subgroup-size-control',
]
const WANTED_LIMITS = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const

/** After an error of the GPU. */
const ANEW =
  'This GPU may have computed with stale numbers and is of no more use: gpu.close(), await openGpu(), and make loaders, model and learner anew'

/** An open WebGPU device with its buffers, kernels and queue. Made by `openGpu`. */
export class Gpu {
  readonly platform: Platform
  /** Held because the device dies with it: see platform/node/gpu.ts. */
  readonly instance: GPU
  readonly device: GPUDevice
  /** What the adapter calls itself, e.g. `llvmpipe: Mesa 25.0.7`. */
  readonly name: string
  readonly vendor: string
  /** What the same kernels are fast on: the adapter, and what drives it. */
  readonly identity: { readonly device: string; readonly driver: string }
  /** The arithmetic is done by the CPU. */
  readonly software: boolean
  /** Lanes of a subgroup; 0 where there are none or their number varies. */
  readonly subgroupSize: number
  readonly matrices: Matrices
  readonly features: ReadonlySet<string>
  readonly buffers: BufferPool
  readonly pipelines: PipelineCache
  readonly queue: Queue
  readonly profiler: Profiler | undefined
  /** Prints every launch; only with the setting DEBUG=2 and above. */
  readonly tracer: Tracer | undefined
  /**
   * Family of kernels to prefer on this adapter. Default: `broadcast` on software adapters with subgroups, otherwise
   * `tile`. Callers that have measured another one to be faster may set it.
   */
  family: KernelFamily
  /** True if the family was given as an option and callers should keep it. */
  readonly familyGiven: boolean
  private readonly shapeAsUniform: boolean
  private error: Error | undefined
  private closed = false

  constructor(
    platform: Platform,
    instance: GPU,
    adapter: GPUAdapter,
    device: GPUDevice,
    options: GpuOptions,
    debug: DebugLevel,
  ) {
    const { info } = adapter
    this.platform = platform
    this.instance = instance
    this.device = device
    this.name = nameOf(info)
    this.vendor = info.vendor
    this.identity = {
      device: [info.vendor, info.architecture, info.device].filter((part) => part !== '').join(' '),
      // With Vulkan, Dawn puts name and version of the driver here.
      driver: info.description,
    }
    this.software = isSoftware(info)
    this.features = new Set(device.features)
    const uniformSubgroups = this.features.has('subgroups') && info.subgroupMinSize === info.subgroupMaxSize
    this.subgroupSize = uniformSubgroups ? (info.subgroupMinSize ?? 0) : 0
    this.matrices = matricesOf(info, this.features)
    this.familyGiven = options.family !== undefined
    this.family = options.family ?? (this.software && this.subgroupSize > 0 ? 'broadcast' : 'tile')
    if (this.family === 'broadcast' && this.subgroupSize === 0) {
      throw new DeviceError(this.name, 'has no subgroups of one size, which the broadcast kernels need', {
        fix: "use family 'tile'",
      })
    }
    const report = (error: Error) => {
      this.error ??= error
    }
    this.buffers = new BufferPool(device, () => this.pipelines.forgetBuffers(), debug >= 1)
    this.shapeAsUniform = options.shapes === undefined ? this.software : options.shapes === 'uniform'
    this.pipelines = this.newPipelineCache(
      report,
      debug >= 1 ? kernelWatch(platform, debug, this.shapeAsUniform ? 'uniform' : 'constant') : undefined,
    )
    this.tracer =
      debug >= 2
        ? new Tracer(platform, this.buffers, debug >= 3 ? new Statistics(device, report) : undefined)
        : undefined
    const timed = options.profile || (this.tracer !== undefined && this.features.has('timestamp-query'))
    // A trace reads each row as it comes, and keeps none.
    const timer = timed
      ? new Profiler(device, { budget: options.profile ? undefined : 0, always: this.tracer !== undefined })
      : undefined
    this.profiler = options.profile ? timer : undefined
    const raiseErrors = async () => {
      await this.tracer?.printed
      await this.pipelines.compiled
      this.check()
    }
    this.queue = new Queue(device, platform, this.software ? 0.5 : 0, timer, raiseErrors, this.tracer)
    device.onuncapturederror = ({ error }) => {
      // What follows from a kernel that did not compile; the kernel's own error says where and why, but comes later.
      if (error.message.includes('due to a previous error')) return
      const memory = error.constructor.name === 'GPUOutOfMemoryError'
      report(
        new DeviceError(this.name, memory ? `memory ran out: ${error.message}` : error.message, {
          fix: memory ? `take a smaller batch, smaller images or mixed precision. ${ANEW}` : ANEW,
        }),
      )
    }
    void device.lost.then(({ reason, message }) => {
      if (reason !== 'destroyed') {
        report(
          new DeviceError(this.name, `the device was lost: ${message}`, {
            fix: 'a smaller batch if memory ran out; otherwise restart, and continue from the last checkpoint',
          }),
        )
      }
    })
  }

  /** Pipelines apart from `kernels`, for a while. `report` gets the errors of their compilation. */
  newPipelineCache(report: (error: Error) => void, onCompile?: OnCompile): PipelineCache {
    const { shapeAsUniform, subgroupSize, matrices } = this
    return new PipelineCache(
      this.device,
      { shapeAsUniform, subgroupSize: Math.max(1, subgroupSize), emulateMatrices: matrices.emulated },
      report,
      onCompile,
    )
  }

  /** Gives buffers that nobody uses back to the driver: when sizes change, those of the old ones would stay. */
  trim(): void {
    // What is recorded may still use them.
    this.queue.submit()
    this.buffers.trim()
  }

  /** @throws the first error that the GPU has reported, as work after it may have run on stale data; or when it is closed. */
  check(): void {
    if (this.error) throw this.error
    this.requireOpen()
  }

  /** @throws DeviceError when it is closed */
  requireOpen(): void {
    if (!this.closed) return
    throw new DeviceError(this.name, 'this GPU is closed, and what lay on it is gone', {
      fix: 'read what is wanted before `gpu.close()`; call `await openGpu()` to go on',
    })
  }

  /**
   * With the setting PROFILE=out.json: writes the Chrome trace there and logs where the time went.
   *
   * @param tracks  labels of launches by which they are grouped, in their order; others come after them
   */
  async writeProfile(tracks: readonly string[]): Promise<void> {
    const file = this.platform.env('PROFILE')
    if (!this.profiler || file === undefined) return
    await this.queue.finished()
    const rows = await this.profiler.rows(this.platform)
    await this.platform.files.write(file, profileTrace(rows, tracks))
    this.platform.log(
      `${profileTable(rows)}\n${profileShares(rows, tracks)}\n${rows.length} launches, as a Chrome trace in ${file}`,
    )
  }

  close(): void {
    if (this.buffers.inUse) this.platform.log(inUseText(this.buffers.inUse))
    this.device.destroy()
    this.closed = true
    if (current === this) current = undefined
  }
}

let current: Gpu | undefined

/** The GPU that operations run on. @throws DeviceError when none was opened. */
export function currentGpu(): Gpu {
  if (!current) throw new DeviceError('wgrad', 'no GPU is open', { fix: 'call `await openGpu()` first' })
  return current
}

/** Makes an open GPU the one that operations run on. @throws DeviceError when it is closed */
export function useGpu(gpu: Gpu): void {
  gpu.requireOpen()
  current = gpu
}

/**
 * Opens a GPU and makes it the current one. A software adapter is taken where there is no other; `gpu.software` and
 * the first line of every command say so.
 *
 * @throws DeviceError  when there is no adapter, with how to get one
 * @throws OptionError  when an option or a setting is none of its values
 */
export async function openGpuOn(platform: Platform, options: GpuOptions = {}): Promise<Gpu> {
  checkOptions('openGpu', options, { adapter: TEXT, profile: FLAG, shapes: TEXT, family: TEXT })
  const asked = oneOf('adapter', options.adapter, ADAPTERS) ?? oneOf('GPU', platform.env('GPU') || undefined, ADAPTERS)
  oneOf('shapes', options.shapes, SHAPES)
  oneOf('family', options.family, KERNEL_FAMILIES)
  const debug = debugLevel(platform.env('DEBUG'))
  const instance = await platform.gpu(asked === 'software')
  let cause: unknown
  const adapter = await instance
    .requestAdapter({
      powerPreference: 'high-performance',
      // Node's binding has an entry point for the software adapter instead.
      forceFallbackAdapter: asked === 'software' && platform.name === 'browser',
    })
    .catch((error: unknown) => {
      // Dawn's binding throws where an adapter was asked for by name and is not there.
      cause = error
      return null
    })
  if (!adapter || (asked === 'discrete' && isSoftware(adapter.info))) {
    const kind = asked === 'software' ? 'software adapter' : 'WebGPU adapter'
    throw new DeviceError('openGpu', adapter ? 'only a software adapter was found' : `no ${kind} was found`, {
      given: {
        asked: asked ?? 'the fastest there is',
        ...(adapter ? { found: nameOf(adapter.info) } : {}),
        ...(cause instanceof Error ? { reason: cause.message.split('\n')[0] } : {}),
      },
      fix: platform.adapterAdvice(asked),
      cause,
    })
  }
  const features = WANTED_FEATURES.filter((feature) => adapter.features.has(feature)) as GPUFeatureName[]
  const device = await adapter.requestDevice({
    requiredFeatures: features,
    requiredLimits: Object.fromEntries(WANTED_LIMITS.map((limit) => [limit, adapter.limits[limit]])),
  })
  const profile = options.profile ?? platform.env('PROFILE') !== undefined
  if (profile && !features.includes('timestamp-query')) {
    throw new DeviceError('openGpu', 'this adapter has no timestamp queries, so nothing can be profiled')
  }
  const gpu = new Gpu(platform, instance, adapter, device, { ...options, profile }, debug)
  useGpu(gpu)
  if (debug >= 1) {
    platform.log(
      `${gpu.name}${gpu.software ? ' (software)' : ''}, subgroups of ${gpu.subgroupSize}, kernels: ${gpu.family}`,
    )
    const sizes = gpu.matrices.emulated ? [] : gpu.matrices.sizes.map(({ M, N, K }) => `${M}×${N}×${K}`)
    platform.log(`matrix units: ${sizes.join(' ') || 'none'}`)
    platform.log(`features: ${features.join(' ') || 'none'}`)
    for (const limit of WANTED_LIMITS) platform.log(`${limit}: ${device.limits[limit]}`)
  }
  return gpu
}

function oneOf<Value extends string>(
  name: string,
  given: string | undefined,
  values: readonly Value[],
): Value | undefined {
  const found = values.find((value) => value === given)
  if (found !== undefined || given === undefined) return found
  throw new OptionError('openGpu', `${name} is not one of its values`, {
    given: { [name]: given },
    expected: values.join(' or '),
  })
}

function nameOf({ description, device, vendor }: GPUAdapterInfo): string {
  return description || device || vendor || 'unnamed adapter'
}

/**
 * Mesa's llvmpipe, SwiftShader, WARP: `isFallbackAdapter` where the implementation says so, else their names. Dawn has
 * these in `description` with Vulkan and Direct3D, in `device` with OpenGL ES.
 */
function isSoftware({ isFallbackAdapter, architecture, description, device }: GPUAdapterInfo): boolean {
  return (
    isFallbackAdapter ||
    architecture === 'software' ||
    /llvmpipe|swiftshader|basic render/i.test(`${description} ${device}`)
  )
}
