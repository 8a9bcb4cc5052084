import { DeviceError, OptionError } from '../base/errors.ts'
import { checkOptions, FLAG, TEXT } from '../base/options.ts'
import type { CompileBeside, Platform } from '../platform/platform.ts'
import { BufferPool } from './buffers.ts'
import { chosenGrid } from './chosen-grids.ts'
import { debugLevel, type DebugLevel } from './debug-level.ts'
import { ANEW, PipelineCache, type OnCompile } from './pipeline-cache.ts'
import { KERNEL_FAMILIES, loadShaders, type KernelFamily } from './kernel-families.ts'
import { describeMatrix, matricesOf, type Matrices } from './matrices.ts'
import type { Profiler } from './profile.ts'
import { Queue, type RaiseErrors } from './queue.ts'
import { subgroupsOf } from './subgroups.ts'
import type { Tracer } from './trace.ts'

/** Options of `openGpu`. */
export interface GpuOptions {
  /** Adapter to request. Default: that of the setting `GPU`, otherwise the fastest. */
  readonly adapter?: (typeof ADAPTERS)[number]
  /** True times every launch (see gpu/profile.ts). Default: true if the setting PROFILE is present */
  readonly profile?: boolean
  /** Form in which a shader receives the sizes of a launch. Default: a uniform on software adapters, constants elsewhere. */
  readonly shapes?: (typeof SHAPES)[number]
  /** Family of kernels to prefer. Default: see `Gpu.family`. */
  readonly family?: KernelFamily
}

const ADAPTERS = ['software', 'discrete'] as const
const SHAPES = ['uniform', 'constant'] as const

/** Device features that are used if present. None is required: every kernel has a family that works without. */
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

/**
 * Vendors on whose matrix units the family `matrix` is the default: NVIDIA (H200), where its kernels are right and a step
 * of xresnet18 takes a quarter of the time of the family `tile` (bench/results/h200.md). For others the tuner decides.
 */
const MATRIX_VENDORS: readonly string[] = ['nvidia']

/** Module of the profiler, the tracer and other instruments, which a `Gpu` is given where a setting asks for them. */
export type Instruments = typeof import('./instruments.ts')

/** An event of any page, of which the types of WebGPU know nothing where there is no DOM. */
type PreventableEvent = GPUUncapturedErrorEvent & { preventDefault(): void }

/** Error about a device that is gone, as when the browser's GPU process ends. */
function lost(name: string, message: string, cause?: unknown): DeviceError {
  return new DeviceError(name, `the device was lost: ${message || 'no reason is given'}`, {
    fix:
      'gpu.close(), await openGpu(), and make loaders, model and learner again, from the last checkpoint if there is ' +
      'one; with a smaller batch if memory ran out',
    ...(cause === undefined ? {} : { cause }),
  })
}

/**
 * Name of NVIDIA's driver for Vulkan, as Dawn reports it (VkPhysicalDeviceDriverProperties). Its pack2x16float does with every
 * number, infinity and NaN what shaders/lib/storage-f16.wgsl wants: all were tried on an H200, driver 580.159
 * (bench/results/h200-kernels.md).
 */
const NVIDIA_ON_VULKAN = /^NVIDIA: \d/

/** Answers of the device within which it says that it is lost, after work of it has been given up. */
const ANSWERS = 3

/** Waits until a device says that it is lost, or for a few answers if it does not. */
async function untilLost(device: GPUDevice): Promise<void> {
  let known = false
  void device.lost.then(() => (known = true))
  for (let i = 0; i < ANSWERS && !known; i++) await device.queue.onSubmittedWorkDone().catch(() => undefined)
}

/** An open WebGPU device with its buffers, kernels and queue. Made by `openGpu`. */
export class Gpu {
  readonly platform: Platform
  /** WebGPU instance, referenced because the device is lost without it: see platform/node/gpu.ts. */
  readonly instance: GPU
  readonly device: GPUDevice
  /** Name that the adapter reports, e.g. `llvmpipe: Mesa 25.0.7`. */
  readonly name: string
  readonly vendor: string
  /** Generation of the vendor's GPUs, as the adapter reports it, e.g. `adreno-6xx`. */
  readonly architecture: string
  /** Device and driver, which determine the fastest kernels. */
  readonly identity: { readonly device: string; readonly driver: string }
  /** True if the CPU does the arithmetic. */
  readonly software: boolean
  /** Number of lanes of a subgroup; 0 if the device lacks subgroups, or their size varies and cannot be chosen. */
  readonly subgroupSize: number
  /** True if kernels that rely on subgroups ask for this size, since the device has several. */
  private readonly pinSubgroups: boolean
  readonly matrices: Matrices
  readonly features: ReadonlySet<string>
  readonly buffers: BufferPool
  readonly pipelines: PipelineCache
  readonly queue: Queue
  readonly profiler: Profiler | undefined
  /** Tracer that prints every launch; undefined unless the setting DEBUG is 2 or above. */
  readonly tracer: Tracer | undefined
  /**
   * Family of kernels to prefer on this adapter. Default: `broadcast` on software adapters with subgroups, `matrix` on the
   * matrix units of vendors where it was measured, otherwise `tile`. Callers that measured a faster one may set it.
   */
  family: KernelFamily
  /** True if the family was given as an option and callers should keep it. */
  readonly familyGiven: boolean
  private readonly shapeAsUniform: boolean
  private readonly instruments: Instruments | undefined
  private error: Error | undefined
  /** True once `close` was called. */
  closed = false

  constructor(
    platform: Platform,
    instance: GPU,
    adapter: GPUAdapter,
    device: GPUDevice,
    options: GpuOptions,
    debug: DebugLevel,
    instruments: Instruments | undefined,
    compileBeside?: CompileBeside,
  ) {
    const { info } = adapter
    this.platform = platform
    this.instruments = instruments
    this.instance = instance
    this.device = device
    this.name = nameOf(info)
    this.vendor = info.vendor
    this.architecture = info.architecture
    this.identity = {
      device: [info.vendor, info.architecture, info.device].filter((part) => part !== '').join(' '),
      // With Vulkan, this is the name and version of the driver.
      driver: info.description || (platform.version ?? ''),
    }
    this.software = isSoftware(info)
    this.features = new Set(device.features)
    const { size, pinned, refusal = '' } = subgroupsOf(info, this.features)
    this.subgroupSize = size
    this.pinSubgroups = pinned
    this.matrices = matricesOf(info, this.features)
    this.familyGiven = options.family !== undefined
    this.family = options.family ?? this.fastestFamily()
    if (this.family === 'broadcast' && this.subgroupSize === 0) {
      throw new DeviceError(this.name, refusal, {
        expected: 'subgroups of a known width, for the broadcast kernels',
        fix: "use family 'tile'",
      })
    }
    const report = (error: Error) => {
      this.error ??= error
    }
    this.buffers = new BufferPool(device, () => this.pipelines.forgetBuffers(), debug >= 1, platform.weigh)
    this.shapeAsUniform = options.shapes === undefined ? this.software : options.shapes === 'uniform'
    this.pipelines = this.newPipelineCache(
      report,
      debug >= 1 ? instruments?.kernelWatch(platform, debug, this.shapeAsUniform ? 'uniform' : 'constant') : undefined,
      // A trace prints the memory in use when a launch is encoded.
      debug >= 2,
    )
    const ofLooks = { shapeAsUniform: true, subgroupSize: 1, emulateMatrices: true, atOnce: true }
    const statistics =
      instruments && debug >= 3
        ? new instruments.Statistics(device, {
            pipelines: new PipelineCache(device, ofLooks, report),
            buffers: new BufferPool(device, () => {}),
          })
        : undefined
    this.tracer = instruments && debug >= 2 ? new instruments.Tracer(platform, this.buffers, statistics) : undefined
    const timed = options.profile || (this.tracer !== undefined && this.features.has('timestamp-query'))
    // A trace reads each row at once and keeps none.
    const timer =
      instruments && timed
        ? new instruments.Profiler(device, {
            budget: options.profile ? undefined : 0,
            always: this.tracer !== undefined,
          })
        : undefined
    this.profiler = options.profile ? timer : undefined
    const raiseErrors: RaiseErrors = async (cause) => {
      if (cause !== undefined) await untilLost(device)
      await this.tracer?.printed
      // Errors of compilation no longer matter to a closed GPU, which may never finish it.
      if (this.closed) this.check()
      await this.pipelines.compiled
      this.check()
      if (cause === undefined) return
      report(lost(this.name, cause instanceof Error ? cause.message : 'for a reason that was not told', cause))
      this.check()
    }
    this.queue = new Queue(device, platform, this.software ? 0.5 : 0, timer, raiseErrors, this.tracer, compileBeside)
    device.onuncapturederror = (event) => {
      const { error } = event
      // A consequence of a kernel that did not compile, whose own error arrives later and is more precise: nor is it printed.
      if (error.message.includes('due to a previous error')) return (event as PreventableEvent).preventDefault()
      const memory = error.constructor.name === 'GPUOutOfMemoryError'
      report(
        new DeviceError(this.name, memory ? `memory ran out: ${error.message}` : error.message, {
          fix: memory ? `use a smaller batch, smaller images or mixed precision. ${ANEW}` : ANEW,
        }),
      )
    }
    void device.lost.then(({ reason, message }) => {
      if (reason !== 'destroyed') report(lost(this.name, message))
    })
  }

  /** Returns the family that is the fastest without having measured on this adapter. */
  private fastestFamily(): KernelFamily {
    // Software adapters with several widths are not known, so nothing is known of their speed either.
    if (this.software) return this.subgroupSize > 0 && !this.pinSubgroups ? 'broadcast' : 'tile'
    return !this.matrices.emulated && MATRIX_VENDORS.includes(this.vendor) ? 'matrix' : 'tile'
  }

  /** Returns a new pipeline cache, separate from `pipelines`. `report` receives the errors of compilation. */
  newPipelineCache(report: (error: Error) => void, onCompile?: OnCompile, atOnce = false): PipelineCache {
    const { shapeAsUniform, pinSubgroups, matrices } = this
    const subgroupSize = Math.max(1, this.subgroupSize)
    return new PipelineCache(
      this.device,
      {
        shapeAsUniform,
        subgroupSize,
        pinSubgroups,
        emulateMatrices: matrices.emulated,
        nativeHalves: NVIDIA_ON_VULKAN.test(this.identity.driver),
        atOnce,
        chooseGrid: (name, shape) => chosenGrid(this, name, shape),
      },
      report,
      onCompile,
    )
  }

  /** Returns unused buffers to the driver. After a change of sizes, buffers of the old sizes would otherwise remain. */
  trim(): void {
    // Encoded work may still use them.
    this.queue.submit()
    this.queue.trim()
    this.buffers.trim((buffer) => this.queue.inOrder(() => buffer.destroy()))
  }

  /** Requires a GPU without errors. @throws the first error that it has reported, or DeviceError if it is closed */
  check(): void {
    if (this.error) throw this.error
    this.requireOpen()
  }

  /** Requires an open GPU. @throws DeviceError  if it is closed */
  requireOpen(): void {
    if (!this.closed) return
    throw new DeviceError(this.name, 'this GPU is closed, and its tensors are gone', {
      fix: 'read results before `gpu.close()`; call `await openGpu()` to continue',
    })
  }

  /**
   * Writes the Chrome trace to the file of the setting PROFILE and logs the time per operation. Does nothing without it.
   *
   * @param tracks  labels by which launches are grouped, in order; others follow as they first occur. Default: all of them do
   */
  async writeProfile(tracks: readonly string[] = []): Promise<void> {
    const file = this.platform.env('PROFILE')
    if (!this.profiler || !this.instruments || file === undefined) return
    const { profileShares, profileTable, profileTrace } = this.instruments
    await this.queue.finished()
    const rows = await this.profiler.rows(this.platform)
    await this.platform.files.write(file, profileTrace(rows, tracks))
    this.platform.log(
      `${profileTable(rows)}\n${profileShares(rows, tracks)}\n${rows.length} launches, as a Chrome trace in ${file}`,
    )
  }

  /** Closes the GPU and destroys its buffers. */
  close(): void {
    if (this.buffers.inUse && this.instruments) this.platform.log(this.instruments.inUseText(this.buffers.inUse))
    this.queue.close()
    this.device.destroy()
    // Dawn's binding for Node holds on to a listener for good, and this one to everything the GPU made.
    this.device.onuncapturederror = null
    this.buffers.closed = true
    this.closed = true
  }
}

/** Opens what `openGpuOn` returns. @throws  as that */
export async function open(platform: Platform, options: GpuOptions): Promise<Gpu> {
  checkOptions('openGpu', options, { adapter: TEXT, profile: FLAG, shapes: TEXT, family: TEXT })
  const asked = oneOf('adapter', options.adapter, ADAPTERS) ?? oneOf('GPU', platform.env('GPU') || undefined, ADAPTERS)
  oneOf('shapes', options.shapes, SHAPES)
  oneOf('family', options.family, KERNEL_FAMILIES)
  const debug = debugLevel(platform.env('DEBUG'))
  const instance = await platform.gpu(asked === 'software')
  let cause: unknown
  const requestAdapter = async (featureLevel: 'core' | 'compatibility'): Promise<GPUAdapter | null> =>
    instance
      .requestAdapter({
        featureLevel,
        powerPreference: 'high-performance',
        // Node's binding has an entry point for the software adapter instead.
        forceFallbackAdapter: asked === 'software' && platform.name === 'browser',
      })
      .catch((error: unknown) => {
        // Dawn's binding throws if an adapter that was requested by name does not exist.
        cause ??= error
        return null
      })
  // Where there is no Vulkan, Metal or Direct3D 12 (older phones), OpenGL ES does: no kernel needs more.
  const adapter = (await requestAdapter('core')) ?? (await requestAdapter('compatibility'))
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
  const device = await requestDevice(adapter)
  try {
    const features = WANTED_FEATURES.filter((feature) => device.features.has(feature))
    const profile = options.profile ?? platform.env('PROFILE') !== undefined
    if (profile && !features.includes('timestamp-query')) {
      throw new DeviceError('openGpu', 'this adapter has no timestamp queries, so nothing can be profiled', {
        given: { adapter: nameOf(adapter.info) },
        fix: 'open it without { profile: true } and the setting PROFILE',
      })
    }
    const instruments = debug >= 1 || profile ? await import('./instruments.ts') : undefined
    const compileBeside = platform.compileBeside?.(nameOf(adapter.info), async () => {
      // An adapter gives one device.
      const again = await requestAdapter('core')
      if (!again) throw new DeviceError(nameOf(adapter.info), 'there is no second adapter', { cause })
      return requestDevice(again)
    })
    const gpu = new Gpu(platform, instance, adapter, device, { ...options, profile }, debug, instruments, compileBeside)
    await loadShaders(familiesOf(gpu))
    if (debug >= 1) {
      platform.log(
        `${gpu.name}${gpu.software ? ' (software)' : ''}, subgroups of ${gpu.subgroupSize}, kernels: ${gpu.family}`,
      )
      const sizes = gpu.matrices.emulated ? [] : gpu.matrices.sizes.map(describeMatrix)
      platform.log(`matrix units: ${sizes.join(' ') || 'none'}`)
      platform.log(`features: ${features.join(' ') || 'none'}`)
      for (const limit of WANTED_LIMITS) platform.log(`${limit}: ${device.limits[limit]}`)
    }
    return gpu
  } catch (error) {
    // The caller has nothing to close, and may open another at once.
    device.destroy()
    device.onuncapturederror = null
    throw error
  }
}

/** Returns the families that a GPU may use. Outside of a page loading costs nothing, and all of them can be tried out. */
function familiesOf({ platform, family, matrices }: Gpu): readonly KernelFamily[] {
  if (platform.name !== 'browser') return KERNEL_FAMILIES
  return matrices.emulated ? [family] : [family, 'matrix']
}

/**
 * Returns a device with the features and limits that kernels make use of, or, from an implementation that refuses what its
 * own adapter offers, one with less: without features, with the default limits of WebGPU, or neither.
 *
 * @throws DeviceError  if that is refused as well, with the first reason
 */
async function requestDevice(adapter: GPUAdapter): Promise<GPUDevice> {
  const requiredFeatures = WANTED_FEATURES.filter((feature) => adapter.features.has(feature)) as GPUFeatureName[]
  const offered = WANTED_LIMITS.filter((limit) => typeof adapter.limits[limit] === 'number')
  const requiredLimits = Object.fromEntries(offered.map((limit) => [limit, adapter.limits[limit]]))
  const refusals: unknown[] = []
  for (const wanted of [{ requiredFeatures, requiredLimits }, { requiredLimits }, { requiredFeatures }, {}]) {
    try {
      return await adapter.requestDevice(wanted)
    } catch (error) {
      refusals.push(error)
    }
  }
  const [cause] = refusals
  throw new DeviceError('openGpu', 'the adapter gives no device, not even one with the default limits of WebGPU', {
    given: {
      adapter: nameOf(adapter.info),
      reason: cause instanceof Error ? cause.message.split('\n')[0] : String(cause),
    },
    fix: 'close other programs that use the GPU, update its driver, or use another browser or runtime',
    cause,
  })
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

/** Browsers tell vendor and architecture only. */
function nameOf({ description, device, vendor, architecture }: GPUAdapterInfo): string {
  return description || device || `${vendor} ${architecture}`.trim() || 'unnamed adapter'
}

/**
 * Returns true for software adapters such as Mesa's llvmpipe, SwiftShader and WARP, by `isFallbackAdapter` or by name. Dawn
 * reports the name in `description` with Vulkan and Direct3D, in `device` with OpenGL ES, and in a page only `architecture`.
 */
function isSoftware({ isFallbackAdapter, architecture, description, device }: GPUAdapterInfo): boolean {
  return (
    isFallbackAdapter ||
    architecture === 'software' ||
    /llvmpipe|swiftshader|basic render/i.test(`${architecture} ${description} ${device}`)
  )
}
