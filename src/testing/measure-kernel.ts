import { WgradError } from '../base/errors.ts'
import { requireInteger } from '../base/check.ts'
import { checkArgument, checkOptions, FUNCTION, NUMBER, objectWith, type Kind, type Kinds } from '../base/options.ts'
import { rng } from '../base/rng.ts'
import { currentGpu, type Gpu } from '../gpu/device.ts'
import { overNaN } from '../gpu/over-nan.ts'
import { HELD_MS, warmUpOf } from '../gpu/warm-up.ts'
import { scope } from '../tensor/scope.ts'
import { elementCount } from '../tensor/shape.ts'
import { RESULT, TENSOR, type Tensor } from '../tensor/tensor.ts'
import { KernelOperands, readElements } from './kernel-operands.ts'
import { leastTime, requireProfiler, type Arithmetic, type Peaks } from './peaks.ts'

/** A kernel to verify and then to time. */
export interface KernelCase {
  /** Name, such as `conv2d/forward [16,28,28,128]→[16,28,28,128] 3×3 f16`. */
  readonly name: string
  /** Makes the operands. */
  prepare(operands: KernelOperands): PreparedKernel
}

/** A kernel with its operands. */
export interface PreparedKernel {
  /** Number of operations of one run; 0 for a kernel that only moves or compares numbers. */
  readonly flops: number
  /** Bytes of operands and results, each counted once. */
  readonly bytes: number
  /** Kind of arithmetic, which determines the roof. Default f32 */
  readonly arithmetic?: Arithmetic
  /** Kernel variant, if there is a choice. */
  readonly kernel?: string
  /** Launches the kernel in a scope and returns its results by name. */
  run(): Readonly<Record<string, Tensor>>
  /** Checks of the results, element by element, by name. */
  readonly checks: Readonly<Record<string, KernelCheck>>
}

/** Check of one result of a kernel. */
export interface KernelCheck {
  /**
   * Returns the right number at a position, in double precision; `undefined` where rounding decides what is right (a
   * ReLU at 0).
   */
  at(place: number): number | undefined
  /** Largest deviation allowed, relative to the largest number checked, or to `size` if that is larger. */
  readonly allowed: number
  /** Magnitude of the terms whose difference the result is, if they may cancel. Default 0 */
  readonly size?: number
  /** Number of additions needed to check one element; with many, fewer elements are checked. Default 1 */
  readonly terms?: number
}

/** Measurement of a kernel. */
export interface KernelTime {
  readonly name: string
  readonly kernel: string
  readonly medianMs: number
  readonly fastestMs: number
  readonly slowestMs: number
  readonly flops: number
  readonly bytes: number
  readonly arithmetic: Arithmetic
  /** Largest deviation found, relative to the largest number. */
  readonly deviation: number
  /** Number of launches of one run. */
  readonly launches: number
}

/** Measurement of a kernel in relation to the roofs of its device. */
export interface UnderRoof {
  /** Ratio of the shortest time that the roofs allow to the median, and the roof that limits it. */
  readonly share: number
  readonly roof: Arithmetic | 'copy'
}

/** Returns the share of the roofs that a kernel reaches: 1 where it could not be faster. */
export function underRoof(time: KernelTime, peaks: Peaks): UnderRoof {
  const { timeMs, roof } = leastTime(peaks, time)
  return { share: timeMs / time.medianMs, roof }
}

/** Options of `measureKernel`. */
export interface KernelTiming {
  /** Number of rounds that count. Default 9 */
  readonly rounds?: number
  /** Time in milliseconds after which no further round is started once three are done. Default 1000 */
  readonly patienceMs?: number
}

const TIMING_KINDS: Kinds<KernelTiming> = { rounds: NUMBER, patienceMs: NUMBER }

const CASE = objectWith('{ name, prepare }, see `KernelCase`', 'prepare')
const PREPARED = objectWith('{ flops, bytes, run, checks }, see `PreparedKernel`')
const RESULTS: Kind = {
  expected: 'tensors by the names of their checks, such as { y }',
  is: (value) => value instanceof Object && !TENSOR.is(value),
}
const PREPARED_KINDS = {
  flops: NUMBER,
  bytes: NUMBER,
  run: FUNCTION,
  checks: {
    expected: 'at least one result by name, such as { y: { at: (i) => x.at(i), allowed: rounding(dtype) } }',
    is: (value: unknown) => {
      const checks = Object.values((value ?? {}) as Readonly<Record<string, Partial<KernelCheck>>>)
      return checks.length > 0 && checks.every(({ at, allowed }) => FUNCTION.is(at) && NUMBER.is(allowed))
    },
  },
}

/** Number of rounds that are done however long they take. */
const FEWEST_ROUNDS = 3

/** Largest number of elements checked per result, and the number of additions this may cost in total. */
const SAMPLES = 64
const TERMS = 1e7

/**
 * Returns the tolerance of a sum of many numbers in f32, relative to the largest sum: the rounding errors of n
 * additions accumulate to √n half units in the last place, here 2⁻²⁴ eight times over, as matrix units truncate instead
 * of rounding. One product too many or too few makes a difference of about 1 / √n, which exceeds this up to a million
 * terms.
 */
export function summing(terms: number, stored: 'f32' | 'f16'): number {
  return 2 ** -21 * Math.sqrt(terms) + (stored === 'f16' ? HALF_ROUNDING : 0)
}

/** Returns the tolerance of a few operations in f32 followed by storing the result. */
export function rounding(stored: 'f32' | 'f16'): number {
  return 2 ** -16 + (stored === 'f16' ? HALF_ROUNDING : 0)
}

/** Rounding error of f16, which has 11 significant bits. */
const HALF_ROUNDING = 2 ** -11

/**
 * Verifies a kernel, then times it with the GPU's own clock.
 *
 *   const gpu = await openGpu({ profile: true })
 *   const time = await measureKernel(gpu, {
 *     name: 'swish f16',
 *     prepare(operands) {
 *       const x = operands.random('x', [64, 56, 56, 64], 'f16')
 *       return {
 *         flops: 0,
 *         bytes: 2 * bytesOf(x.tensor),
 *         run: () => ({ y: noGrad(() => swish(x.tensor)) }),
 *         checks: { y: { at: (i) => x.at(i) / (1 + Math.exp(-x.at(i))), allowed: rounding('f16') } },
 *       }
 *     },
 *   })
 *   const { share, roof } = underRoof(time, await measurePeaks(gpu))
 *
 * @throws WgradError   if the kernel is wrong: a wrong kernel has no speed
 * @throws OptionError  unless the GPU was opened with { profile: true } and is the one that operations run on
 */
export async function measureKernel(gpu: Gpu, item: KernelCase, timing: KernelTiming = {}): Promise<KernelTime> {
  checkOptions('measureKernel', timing, TIMING_KINDS)
  checkArgument('measureKernel', 'item', item, CASE)
  const { rounds = 9, patienceMs = 1000 } = timing
  requireInteger('measureKernel', 'rounds', rounds, { from: 1 })
  requireProfiler('measureKernel', gpu)
  const operands = new KernelOperands()
  try {
    const prepared = item.prepare(operands)
    const deviation = await proveKernel(item.name, prepared, operands)
    const { times, launches } = await time(gpu, prepared, { rounds, patienceMs })
    if (launches === 0) throw new WgradError(item.name, 'nothing is launched, so there is nothing to time')
    const { flops, bytes, arithmetic = 'f32', kernel = '' } = prepared
    return {
      name: item.name,
      kernel,
      flops,
      bytes,
      arithmetic,
      deviation,
      launches,
      medianMs: times[times.length >> 1],
      fastestMs: times[0],
      slowestMs: times[times.length - 1],
    }
  } finally {
    operands.close()
    if (gpu.buffers.allocatedBytes - gpu.buffers.usedBytes > SPARE_BYTES) gpu.trim()
  }
}

/** Largest total size of unused buffers that are kept: allocating them again takes longer than most kernels. */
const SPARE_BYTES = 2 ** 30

/**
 * Returns the deviation of a kernel's results relative to the largest number checked. The kernel runs on memory that is NaN, so
 * that numbers which it does not write are wrong.
 *
 * @throws WgradError   if the deviation exceeds the tolerance
 * @throws OptionError  if nothing is checked, or a part of the case is not of its kind
 */
export async function proveKernel(name: string, prepared: PreparedKernel, operands: KernelOperands): Promise<number> {
  checkArgument(name, 'the result of prepare', prepared, PREPARED)
  for (const part of Object.keys(PREPARED_KINDS) as (keyof typeof PREPARED_KINDS)[]) {
    checkArgument(name, part, prepared[part], PREPARED_KINDS[part])
  }
  const { run, checks } = prepared
  const results = overNaN(currentGpu(), () => scope(run))
  checkArgument(name, 'the result of run', results, RESULTS)
  for (const [what, result] of Object.entries(results)) {
    checkArgument(name, what, result, RESULT)
    operands.own(result)
  }
  let worst = 0
  for (const [what, check] of Object.entries(checks)) {
    const result = results[what]
    if (!result) throw new WgradError(name, `the kernel makes no ${what}`)
    const { deviation, text } = await deviationOf(result, check)
    // Negated, so that NaN fails as well.
    if (!(deviation <= check.allowed)) {
      const [off, allowed] = [deviation, check.allowed].map((value) => value.toExponential(1))
      throw new WgradError(name, `${what} is wrong by ${off}, allowed ${allowed} (${text}); not timed`)
    }
    worst = Math.max(worst, deviation)
  }
  return worst
}

async function deviationOf(
  result: Tensor,
  { at, terms = 1, size = 0 }: KernelCheck,
): Promise<{ deviation: number; text: string }> {
  const random = rng(0, 'bench samples')
  const count = elementCount(result.shape)
  const samples = Math.min(count, SAMPLES, Math.max(8, Math.floor(TERMS / terms)))
  // The first and the last element are always included, because a grid ends there.
  const ends = [0, count - 1]
  const places = Array.from({ length: samples }, (_, i) => ends[i] ?? random.integer(0, count - 1))
  const got = await readElements(result, places)
  const expected = places.map(at)
  const decided = expected.filter((value) => value !== undefined)
  if (decided.length < samples / 2) {
    return { deviation: NaN, text: `only ${decided.length} of ${samples} elements can be checked` }
  }
  const largest = Math.max(size, ...decided.map(Math.abs))
  let [deviation, text] = [0, '']
  expected.forEach((value, i) => {
    const off = value === undefined ? 0 : Math.abs(got[i] - value) / (largest || 1)
    // The first NaN stays, as nothing is larger.
    if (!(off > deviation) && (!Number.isNaN(off) || Number.isNaN(deviation))) return
    deviation = off
    text = `element ${places[i]} is ${got[i]}${Number.isNaN(got[i]) ? ' or was never written' : ''}, not ${value}`
  })
  return { deviation, text }
}

/**
 * Shortest duration of a round, filled with repeated runs, and most of these: clocks are too coarse for less, and the GPU would
 * idle in between.
 */
const ROUND_MS = 2
const MOST_RUNS = 64

/** Returns the times of one run, shortest first. */
async function time(
  gpu: Gpu,
  { run }: PreparedKernel,
  { rounds, patienceMs }: Required<KernelTiming>,
): Promise<{ times: number[]; launches: number }> {
  const profiler = requireProfiler('measureKernel', gpu)
  const warmUp = warmUpOf(gpu)
  const times: number[] = []
  let [runs, launches, spentMs] = [1, 0, 0]
  const timeRound = async () => {
    profiler.reset()
    for (let i = 0; i < runs; i++) scope(() => void run())
    await gpu.queue.finished()
    const rows = await profiler.rows(gpu.platform)
    launches = rows.length / runs
    return rows.reduce((sum, row) => sum + row.timeMs, 0) / runs
  }
  const chooseRuns = async () => {
    const timeMs = await timeRound()
    runs = Math.min(MOST_RUNS, Math.max(1, Math.ceil(ROUND_MS / Math.max(timeMs, 1e-3))))
  }
  // Neither of these rounds counts: the first compiles, the second warms the caches. Its clock decides how many runs fill a
  // round, so the GPU is warmed up before it.
  await chooseRuns()
  await warmUp.before(chooseRuns, HELD_MS)
  await chooseRuns()
  for (let round = 0; round < rounds; round++) {
    if (round >= FEWEST_ROUNDS && spentMs > patienceMs) break
    await warmUp.before(chooseRuns, HELD_MS)
    const timeMs = await timeRound()
    warmUp.worked()
    times.push(timeMs)
    spentMs += timeMs * runs
  }
  return { times: times.sort((a, b) => a - b), launches }
}
