import { ShaderError } from '../../base/errors.ts'
import { rng } from '../../base/rng.ts'
import type { Gpu } from '../../gpu/device.ts'
import { ALIGNMENT, type BufferView } from '../../gpu/buffers.ts'
import type { LaunchOptions } from '../../gpu/pipeline-cache.ts'
import { inErrorScope } from '../../gpu/error-scope.ts'
import { PassClock } from '../../gpu/pass-clock.ts'
import { nanFiller, type NaNFiller } from '../../gpu/over-nan.ts'
import { warmUpOf } from '../../gpu/warm-up.ts'
import { encodeLaunch, type Launch } from '../../gpu/launch.ts'
import type { ShaderName } from '../../gpu/shader-source.ts'
import { DTYPE_BYTES } from '../../tensor/dtype.ts'
import { halfToFloat } from '../../tensor/half.ts'
import { empty, prepareLaunch, type launch } from '../../tensor/launch.ts'
import { withOverflowFlag } from '../../tensor/overflow.ts'
import { allocateWithin, keep, release } from '../../tensor/scope.ts'
import { elementCount, storedBytes, storedCount, storedLastAxis, type Spec } from '../../tensor/shape.ts'
import { tensor } from '../../tensor/read-write.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { SizedPass } from './choices.ts'
import { runPass } from './passes.ts'
import { kernelName, type KernelVariant } from './families.ts'
import { OPERANDS, operandSpec } from './sizes.ts'

/** Number of rows of random numbers that an operand repeats: a prime, so that no two tiles see the same numbers. */
const BLOCK_ROWS = 1021
/** Size of the parts in which a result is read; of a large result only the first, the middle and the last are read. */
const PART_BYTES = 2 ** 20
/** Duration of a measurement: 30 of the longest steps of a clock, Dawn's in a page of 65 µs. */
const LONG_MS = 2
/** Largest number of runs in one measurement. */
const MOST_RUNS = 64
/** Byte of the NaN of `nanFiller`. */
const NAN_BYTE = 0xff

/** Pass of a convolution with operands of random numbers, on which kernel variants are timed and checked. */
export class Trial {
  readonly gpu: Gpu
  readonly subject: SizedPass
  private readonly stopwatch: Stopwatch
  /** Number of runs of each variant in one measurement, by its name. */
  private readonly runs = new Map<string, number>()
  private readonly operands: readonly Tensor[]
  /** Result with guard bytes before and after it that no kernel may change: ALIGNMENT of them, none where they do not fit. */
  private readonly guarded: Tensor
  private readonly result: Tensor
  private readonly nan: NaNFiller

  constructor(gpu: Gpu, subject: SizedPass, stopwatch: Stopwatch) {
    this.gpu = gpu
    this.subject = subject
    this.stopwatch = stopwatch
    const [left, right, result] = OPERANDS[subject.pass].map((name) => operandSpec(name, subject.sizes))
    this.operands = [random(gpu, left, 'left'), random(gpu, right, 'right')]
    const bytes = Math.ceil(storedBytes(result) / ALIGNMENT) * ALIGNMENT
    const guard = bytes + 2 * ALIGNMENT <= gpu.buffers.limitBytes ? ALIGNMENT : 0
    this.guarded = keep(empty({ shape: [(bytes + 2 * guard) / 4], dtype: 'u32' }, 'tuned result'))
    this.result = allocateWithin(this.guarded, result, guard)
    this.nan = nanFiller(gpu)
  }

  /**
   * Measures one run of a kernel variant in milliseconds, as the mean of as many runs as take `LONG_MS`: a clock may
   * tick every 65 µs, and a GPU that idles between short runs slows down.
   *
   * @throws ShaderError  if it does not compile or run
   */
  async time(kernel: KernelVariant): Promise<number> {
    await this.stopwatch.warmUp?.(() => this.run(kernel, MOST_RUNS))
    const name = kernelName(kernel)
    const runs = this.runs.get(name) ?? 1
    const timeMs = (await this.run(kernel, runs)) / runs
    this.runs.set(name, Math.min(MOST_RUNS, Math.max(1, Math.ceil(LONG_MS / Math.max(timeMs, 1e-3)))))
    return timeMs
  }

  private run(kernel: KernelVariant, runs: number): Promise<number> {
    const { pass, sizes } = this.subject
    const [left, right] = this.operands
    return this.stopwatch.time(kernelName(kernel), (record) => {
      for (let i = 0; i < runs; i++) runPass(pass, sizes, [left, right, this.result], kernel, record)
    })
  }

  /**
   * Runs a kernel variant and returns the parts of its result that are checked.
   *
   * @throws ShaderError  if it does not run, or writes beyond its result
   */
  async compute(kernel: KernelVariant): Promise<Float32Array> {
    const {
      gpu: { queue },
      guarded,
      nan,
      result,
    } = this
    nan.fill(guarded.view)
    // Slices of dw are acquired within the run.
    const endFilling = nan.fillAcquired()
    await this.run(kernel, 1).finally(endFilling)
    const { buffer, offset: begin } = result.view
    // The view's size is rounded up, so it cannot be used here.
    const written = { buffer, offset: begin, size: storedCount(result) * DTYPE_BYTES[result.dtype] }
    const before = guarded.view.offset
    const end = begin + written.size
    for (const [offset, size] of [
      [before, begin - before],
      [end, before + guarded.view.size - end],
    ]) {
      const bytes = new Uint8Array(await queue.read({ buffer, offset, size }))
      if (bytes.some((byte) => byte !== NAN_BYTE)) {
        throw new ShaderError(kernelName(kernel), 'writes beyond its result')
      }
    }
    const parts = cut(written)
    const looked = parts.length <= 3 ? parts : [parts[0], parts[parts.length >> 1], parts[parts.length - 1]]
    const values: number[][] = []
    for (const part of looked) {
      const bytes = await queue.read({ buffer, ...part })
      values.push(
        result.dtype === 'f16' ? Array.from(new Uint16Array(bytes), halfToFloat) : Array.from(new Float32Array(bytes)),
      )
    }
    return Float32Array.from(values.flat())
  }

  close(): void {
    for (const made of [...this.operands, this.guarded]) release(made)
    this.nan.release()
  }
}

/** Divides a view into parts of PART_BYTES; the last part is the remainder. */
function cut({ offset, size }: BufferView): { readonly offset: number; readonly size: number }[] {
  return Array.from({ length: Math.ceil(size / PART_BYTES) }, (_, i) => ({
    offset: offset + i * PART_BYTES,
    size: Math.min(PART_BYTES, size - i * PART_BYTES),
  }))
}

/** Makes a tensor of random numbers in [-1, 1) with zero padding, repeated on the GPU from one block of rows. */
function random(gpu: Gpu, spec: Spec, name: string): Tensor {
  const last = spec.shape[spec.shape.length - 1]
  const rows = elementCount(spec.shape) / last
  const blockRows = Math.min(rows, BLOCK_ROWS)
  const numbers = rng(0, `tune ${name}`).uniforms(blockRows * last, -1, 1)
  const block = keep(tensor(numbers, [blockRows, last], spec.dtype))
  const made = keep(empty(spec, `tuned ${name}`))
  const rowBytes = storedLastAxis(spec) * DTYPE_BYTES[spec.dtype]
  for (let row = 0; row < rows; row += blockRows) {
    const size = Math.min(blockRows, rows - row) * rowBytes
    gpu.queue.copy({ ...block.view, size }, { ...made.view, offset: made.view.offset + row * rowBytes, size })
  }
  release(block)
  return made
}

/** Timer of GPU work. */
export interface Stopwatch {
  /** Compiles the kernels of future launches in parallel; one that does not compile is reported when it is timed. */
  compile(launches: readonly { readonly shader: ShaderName; readonly options: LaunchOptions }[]): Promise<void>
  /** Called before each measurement with GPU work, which it repeats until an idle GPU has raised its clock. */
  warmUp?(work: () => Promise<unknown>): Promise<void>
  /**
   * Runs work once and waits for it.
   *
   * @param name  name of the work, for errors
   * @param work  function that launches work through the function it receives
   * @returns milliseconds
   * @throws ShaderError  if a launch does not compile or run
   */
  time(name: string, work: (record: typeof launch) => void): Promise<number>
}

/**
 * Makes a timer that uses the GPU's timestamps if available, otherwise the platform's clock. It compiles separately
 * from `gpu.pipelines`.
 */
export function gpuStopwatch(gpu: Gpu): Stopwatch {
  const { device, platform } = gpu
  const broken: Error[] = []
  const pipelines = gpu.newPipelineCache((error) => broken.push(error))
  const clock = gpu.features.has('timestamp-query') ? new PassClock(device) : undefined
  const sleepMs = gpu.software ? 0.5 : 0
  const warmUp = warmUpOf(gpu)
  return {
    warmUp: (work) => warmUp.before(work),
    async compile(launches) {
      await Promise.all(launches.map(({ shader, options }) => pipelines.compileAhead(shader, options)))
    },
    async time(name, work) {
      const launches: Launch[] = []
      const [, unprepared] = inErrorScope(device, () => {
        work((shader, bindings, options) => {
          withOverflowFlag(shader, bindings, (complete) => {
            launches.push(prepareLaunch(pipelines, shader, complete, options))
          })
        })
      })
      // Uploads that the launches read have been recorded there.
      await gpu.queue.ready()
      await Promise.all(launches.map(({ kernel }) => kernel.ready))
      const begin = platform.now()
      const [, invalid] = inErrorScope(device, () => {
        const encoder = device.createCommandEncoder()
        const pass = encoder.beginComputePass(clock?.descriptor)
        for (const launched of launches) encodeLaunch(pass, launched)
        pass.end()
        clock?.resolve(encoder)
        device.queue.submit([encoder.finish()])
      })
      await platform.waitFor(device.queue.onSubmittedWorkDone(), { sleepMs })
      const end = platform.now()
      warmUp.worked(end)
      await pipelines.compiled
      const error = (await unprepared) ?? (await invalid)
      const [first = error && new ShaderError(name, error.message)] = broken.splice(0)
      if (first) throw first
      gpu.check()
      return clock ? await clock.read(platform) : end - begin
    },
  }
}

/**
 * Tolerance of the difference of two results relative to their norm: f16 rounds each by 2^-11, and matrix units sum in
 * other orders.
 */
const NORM_TOLERANCE = 2 ** -9
/** Tolerance of a single element relative to itself, or to a typical element if it is small. */
const ELEMENT_TOLERANCE = 2 ** -6

/** Returns the difference between a result and its reference as the end of a sentence; `undefined` if they agree. */
export function difference(result: Float32Array, reference: Float32Array): string | undefined {
  let norm = 0
  for (const value of reference) norm += value * value
  const typical = Math.sqrt(norm / reference.length)
  let squares = 0
  for (let i = 0; i < reference.length; i++) {
    const error = Math.abs(result[i] - reference[i])
    // Negated, so that NaN fails as well.
    if (!(error <= ELEMENT_TOLERANCE * Math.max(typical, Math.abs(reference[i])))) {
      return `computes ${result[i]} where ${reference[i]} is right`
    }
    squares += error * error
  }
  const wrong = Math.sqrt(squares / norm)
  return wrong <= NORM_TOLERANCE ? undefined : `is off by ${wrong.toExponential(1)} of the norm`
}
