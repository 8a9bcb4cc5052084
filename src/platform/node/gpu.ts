import { readFileSync } from 'node:fs'
import { DeviceError } from '../../base/errors.ts'

/** Package `webgpu`: Dawn as a native module. */
type Binding = typeof import('webgpu')

/**
 * Every object that `create` returned, for as long as the program runs. Dropping one lets the garbage collector free
 * Dawn under a device that is still in use, and the process crashes (SIGABRT or SIGSEGV).
 */
const instances: GPU[] = []

/**
 * The switches of Dawn that we rely on:
 * - allow_unsafe_apis: offers the experimental features, subgroup matrices among them.
 * - vulkan_enable_f16_on_nvidia: without it no NVIDIA adapter has shader-f16.
 * - disable_robustness: no clamping of indices; one out of bounds is then an error of ours, which WGRAD_ROBUST=1 tells.
 * - disable_workgroup_init: no zeroing of workgroup memory, which our shaders write before they read.
 * - timestamp_quantization, off: timestamps in nanoseconds instead of steps of 65 µs.
 * Source: Dawn, src/dawn/native/Toggles.cpp.
 */
export function defaultGpuOptions(robust = process.env['WGRAD_ROBUST'] === '1'): string[] {
  const on = ['allow_unsafe_apis', 'vulkan_enable_f16_on_nvidia', 'disable_workgroup_init']
  if (!robust) on.push('disable_robustness')
  return [`enable-dawn-features=${on.join(',')}`, 'disable-dawn-features=timestamp_quantization']
}

/**
 * The option with which Dawn offers no other adapter than Mesa's or Windows' software adapter: it counts none of these as
 * the fallback adapter that WebGPU knows.
 */
export const SOFTWARE_ONLY = `adapter=${process.platform === 'win32' ? 'Microsoft Basic Render Driver' : 'llvmpipe'}`

/** The parts of AVX-512 that Mesa's compiler makes use of. */
const AVX512 = ['avx512f', 'avx512bw', 'avx512dq', 'avx512vl']

/**
 * Lets Mesa's software adapter compute 16 numbers at a time where the processor can; by itself it does 8 (MIN2(…, 256)
 * in gallivm/lp_bld_init.c). On two cores of an AMD EPYC (Zen 5) mixed-precision convolutions are 1.6 times as fast so,
 * training in mixed precision 1.3 times and in float32 1.2 times; the first step compiles 1.6 s longer
 * (bench/results/steps-lavapipe.md). It is read when the driver is loaded; other drivers do not know it.
 *
 * @param flags  what the processor can do. Default: what Linux says
 */
export function useWideVectors(flags = processorFlags()): void {
  if (AVX512.every((flag) => flags.has(flag))) process.env['LP_NATIVE_VECTOR_WIDTH'] ??= '512'
}

/**
 * Sets an environment variable where drivers read it. Bun's `process.env` is its own copy, which a driver does not see; that
 * of Node is the process's, except in a worker thread that was started without `env: SHARE_ENV`.
 */
async function tellDriversInBun(name: string): Promise<void> {
  const value = process.env[name]
  if (value === undefined || !('Bun' in globalThis) || process.platform !== 'linux') return
  // In a variable, since neither Node nor TypeScript has this module.
  const ffi: string = 'bun:ffi'
  const { dlopen } = (await import(ffi)) as {
    dlopen(library: string, functions: object): { symbols: Record<string, (...args: unknown[]) => number> }
  }
  const { setenv } = dlopen('libc.so.6', { setenv: { args: ['cstring', 'cstring', 'i32'], returns: 'i32' } }).symbols
  setenv(Buffer.from(`${name}\0`), Buffer.from(`${value}\0`), 1)
}

function processorFlags(): ReadonlySet<string> {
  const [, line = ''] = /^flags\s*:(.*)$/m.exec(textOf('/proc/cpuinfo')) ?? []
  return new Set(line.trim().split(/\s+/))
}

/** Returns the text of a file; '' where there is none, or where Deno was not allowed to read it. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}

/**
 * Dawn's WebGPU entry point, with WebGPU's constants (GPUBufferUsage, …) as globals, as in a browser.
 *
 * @param options  of Dawn, for instance `['backend=null']`, which compiles shaders and runs nothing
 * @param load     the binding, loaded with the first GPU: without it the rest of the library still works
 * @throws DeviceError  when the binding does not load, with the cause
 */
export async function createGpu(
  options = defaultGpuOptions(),
  load = (): Promise<Binding> => import('webgpu'),
): Promise<GPU> {
  useWideVectors()
  await tellDriversInBun('LP_NATIVE_VECTOR_WIDTH')
  const { create, globals } = await load().catch((cause: unknown) => {
    throw bindingError(cause)
  })
  if (!('GPUBufferUsage' in globalThis)) Object.assign(globalThis, globals)
  const gpu = create(options)
  instances.push(gpu)
  return gpu
}

/** Implementation of WebGPU that a platform uses: Dawn's binding for Node, or the one that Deno (wgpu) brings. */
export const WEBGPUS = ['dawn', 'runtime'] as const
export type WebGpuChoice = (typeof WEBGPUS)[number]

/** Settings that `chooseGpu` reads and what it calls, for tests. */
export interface GpuSource {
  readonly dawn: (options: string[]) => Promise<GPU>
  /** WebGPU of the runtime itself, `navigator.gpu`; undefined where there is none, as in Node and Bun. */
  readonly runtime: GPU | undefined
  readonly log: (line: string) => void
}

/**
 * Returns the WebGPU entry point of a platform.
 *
 * @param choice  implementation to use. Default: Dawn's, or that of the runtime where Dawn's binding does not load
 * @throws DeviceError  if the chosen one does not exist here, with the cause
 */
export async function chooseGpu(
  choice: WebGpuChoice | undefined,
  software: boolean,
  { dawn, runtime, log }: GpuSource,
): Promise<GPU> {
  if (choice === 'runtime') {
    if (runtime) return ownGpu(runtime, software)
    throw new DeviceError('openGpu', 'this runtime has no WebGPU of its own', {
      given: { WEBGPU: choice, runtime: runtimeName() },
      expected: 'Deno, which has navigator.gpu',
      fix: 'leave WEBGPU and the option `webgpu` unset',
    })
  }
  try {
    return await dawn([...defaultGpuOptions(), ...(software ? [SOFTWARE_ONLY] : [])])
  } catch (error) {
    if (choice === 'dawn' || !runtime) throw error
    log(`Dawn's binding (package webgpu) does not load, so ${runtimeName()}'s own WebGPU computes: ${reasonOf(error)}`)
    return ownGpu(runtime, software)
  }
}

/** Returns WebGPU of the runtime; for a software adapter as one that offers no other. */
function ownGpu(gpu: GPU, software: boolean): GPU {
  if (!software) return gpu
  const requestAdapter: GPU['requestAdapter'] = (options) =>
    gpu.requestAdapter({ ...options, forceFallbackAdapter: true })
  return { requestAdapter, gpu } as unknown as GPU
}

/** Name of the runtime of this program. */
export function runtimeName(): string {
  return ['Deno', 'Bun'].find((name) => name in globalThis) ?? 'Node'
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  return (cause instanceof Error ? cause.message : String(cause)).split('\n')[0]
}

/** Address of this module, unless a bundler has put it into another file. */
const OWN_FILE = /\/platform\/node\/gpu\.[jt]s$/

function bindingError(cause: unknown): DeviceError {
  const reason = reasonOf(cause)
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  const glibc = header?.glibcVersionRuntime
  const libc = process.platform === 'linux' ? `, ${glibc === undefined ? 'no glibc' : `glibc ${glibc}`}` : ''
  const advice = OWN_FILE.test(String(import.meta.url))
    ? {
        // Source: the symbol versions that dawn.node of webgpu 0.6.2 asks for, and the folders of its dist/.
        expected:
          'Linux with glibc 2.34 or later (Debian 12, Ubuntu 22.04, RHEL 9; not Alpine), macOS or Windows, on x64 or arm64',
        fix: 'on such a system remove node_modules and run `npm ci`; on another one use a container of such a system. A graphics driver does not help',
      }
    : {
        expected: 'the package webgpu in node_modules, not in a bundle, as the binding is a file of its own',
        fix: 'let the bundler leave packages out of what it makes for Node (esbuild --packages=external)',
      }
  return new DeviceError('openGpu', "Dawn's binding (package webgpu) does not load", {
    given: { reason, system: `${process.platform} ${process.arch}${libc}` },
    ...advice,
    cause,
  })
}

/** How long the thread sleeps between two looks at the GPU. Short against a step, long against a look. */
const SLEEP_MS = 0.5

/** Waits that are going on, each with the milliseconds for which it lets the thread sleep. */
const waiting = new Set<{ readonly sleepMs: number }>()
let sleeping = false
const neverWoken = new Int32Array(new SharedArrayBuffer(4))

/**
 * Waits for a promise of the GPU, leaving the processor to others meanwhile.
 *
 * While such a promise is pending the binding looks for its end in every turn of the event loop, without pause, which
 * takes a whole core from a software adapter. So we sleep in every turn. Other events, such as pixels from decoding
 * threads, are still served between the sleeps.
 *
 * @param options.sleepMs  0: do not sleep, for a GPU that answers within microseconds. Default 0.5
 */
export function waitFor<T>(done: Promise<T>, { sleepMs = SLEEP_MS }: { sleepMs?: number } = {}): Promise<T> {
  if (sleepMs <= 0) return done
  const entry = { sleepMs }
  waiting.add(entry)
  if (!sleeping) setImmediate(sleep)
  sleeping = true
  return done.finally(() => waiting.delete(entry))
}

function sleep(): void {
  sleeping = waiting.size > 0
  if (!sleeping) return
  Atomics.wait(neverWoken, 0, 0, Math.min(...Array.from(waiting, (entry) => entry.sleepMs)))
  setImmediate(sleep)
}
