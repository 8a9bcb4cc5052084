import { rng } from '../../src/base/rng.ts'
import type { Gpu } from '../../src/gpu/device.ts'
import type { ConvolutionSizes } from '../../src/ops/convolution/passes.ts'
import { tune } from '../../src/ops/convolution/tuner.ts'
import { scope } from '../../src/tensor/scope.ts'
import { elementCount } from '../../src/tensor/shape.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { Operands, readElements } from './operands.ts'
import { higherPeaks, leastTime, measurePeaks, type Arithmetic, type Peaks } from './peaks.ts'

/** Network that runs a kernel at a shape, and how often per step. */
export interface Use {
  /** Name of the network, such as `xresnet18 at 128 px`. */
  readonly network: string
  readonly count: number
}

/** One kernel at one shape, which is verified before it is timed. */
export interface Case {
  /** Name, such as `conv2d/forward [16,28,28,128]→[16,28,28,128] 3×3 f16`. */
  readonly name: string
  readonly uses: readonly Use[]
  /** Convolution to tune before the measurement, if the kernel belongs to one. */
  readonly convolution?: ConvolutionSizes
  /** Makes the operands. */
  prepare(operands: Operands): Prepared
}

export interface Prepared {
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
  readonly checks: Readonly<Record<string, Check>>
}

export interface Check {
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

/** Measurement of a case. */
export interface Timed {
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
  readonly uses: readonly Use[]
}

/** Measurement of a case in relation to the roofs of its device. */
export interface Row extends Timed {
  /** Ratio of the shortest time that the roofs allow to the median, and the roof that limits it. */
  readonly share: number
  readonly roof: Arithmetic | 'copy'
}

export interface Timing {
  /** Number of rounds that count. Default 9 */
  readonly rounds?: number
  /** Time in milliseconds after which no further round is started once three are done. Default 1000 */
  readonly patienceMs?: number
}

/** Number of warm-up rounds that are not counted: the first compiles, the second warms the caches. */
const WARM_UP = 2
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
 * Verifies a case, then times it with the GPU's own clock.
 *
 * @throws Error  if the kernel is wrong: a wrong kernel has no speed
 */
export async function measure(gpu: Gpu, item: Case, timing: Timing = {}): Promise<Timed> {
  const operands = new Operands()
  try {
    const prepared = item.prepare(operands)
    const deviation = await prove(item.name, prepared, operands)
    const { times, launches } = await time(gpu, prepared, timing)
    const { flops, bytes, arithmetic = 'f32', kernel = '' } = prepared
    return {
      name: item.name,
      kernel,
      flops,
      bytes,
      arithmetic,
      deviation,
      launches,
      uses: item.uses,
      medianMs: times[times.length >> 1],
      fastestMs: times[0],
      slowestMs: times[times.length - 1],
    }
  } finally {
    operands.close()
    if (gpu.buffers.allocatedBytes - gpu.buffers.usedBytes > SPARE_BYTES) gpu.trim()
  }
}

/** Measurements of many cases; a case that is wrong or does not run has no row. */
export interface Measured {
  readonly peaks: Peaks
  readonly rows: readonly Row[]
  readonly failures: readonly string[]
}

/** Number of convolutions tuned at a time; results are stored after each group. */
const TUNED = 24

/**
 * Verifies and times one case after the other, with the kernel variants that the tuner chooses. The roofs are measured
 * before and after, and the higher ones count, since another process may have interfered.
 *
 * @param gpu    GPU opened with { profile: true }
 * @param onRow  called after each case with all rows so far
 */
export async function measureAll(
  gpu: Gpu,
  cases: readonly Case[],
  timing: Timing = {},
  onRow: (soFar: Measured) => void = () => {},
): Promise<Measured> {
  const before = await measurePeaks(gpu)
  const convolutions = cases.flatMap(({ convolution }) => convolution ?? [])
  for (let first = 0; first < convolutions.length; first += TUNED) {
    await tune({ convolutions: convolutions.slice(first, first + TUNED) })
  }
  const timed: Timed[] = []
  const failures: string[] = []
  for (const [i, item] of cases.entries()) {
    gpu.platform.status?.(`${i + 1}/${cases.length} ${item.name}`)
    try {
      timed.push(await measure(gpu, item, timing))
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error)
      failures.push(what.startsWith(item.name) ? what : `${item.name}: ${what}`)
      gpu.platform.log(failures[failures.length - 1])
    }
    onRow({ peaks: before, rows: underRoofs(timed, before), failures })
  }
  gpu.platform.status?.('')
  const peaks = higherPeaks(before, await measurePeaks(gpu))
  return { peaks, rows: underRoofs(timed, peaks), failures }
}

function underRoofs(timed: readonly Timed[], peaks: Peaks): Row[] {
  return timed.map((row) => {
    const { timeMs, roof } = leastTime(peaks, row)
    return { ...row, share: timeMs / row.medianMs, roof }
  })
}

/** Largest total size of unused buffers that are kept: allocating them again takes longer than most kernels. */
const SPARE_BYTES = 2 ** 30

/**
 * Returns the deviation of a kernel's results relative to the largest number checked. @throws Error  if it exceeds the
 * tolerance
 */
export async function prove(name: string, { run, checks }: Prepared, operands: Operands): Promise<number> {
  const results = scope(run)
  for (const result of Object.values(results)) operands.own(result)
  let worst = 0
  for (const [what, check] of Object.entries(checks)) {
    const result = results[what]
    if (!result) throw new Error(`${name}: makes no ${what}`)
    const { deviation, text } = await deviationOf(result, check)
    // Negated, so that NaN fails as well.
    if (!(deviation <= check.allowed)) {
      const [off, allowed] = [deviation, check.allowed].map((value) => value.toExponential(1))
      throw new Error(`${name}: ${what} is wrong by ${off}, allowed ${allowed} (${text}); not timed`)
    }
    worst = Math.max(worst, deviation)
  }
  return worst
}

async function deviationOf(
  result: Tensor,
  { at, terms = 1, size = 0 }: Check,
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
    if (off <= deviation) return
    deviation = off
    text = `element ${places[i]} is ${got[i]}, not ${value}`
  })
  return { deviation, text }
}

/**
 * Shortest duration of a round, filled with repeated runs: clocks are too coarse for less, and the GPU would idle in
 * between.
 */
const ROUND_MS = 2
const MOST_RUNS = 64

/** Returns the times of one run, shortest first. */
async function time(
  gpu: Gpu,
  { run }: Prepared,
  { rounds = 9, patienceMs = 1000 }: Timing,
): Promise<{ times: number[]; launches: number }> {
  const { profiler } = gpu
  if (!profiler) throw new Error('measure: open the GPU with { profile: true }')
  const times: number[] = []
  let [runs, launches, spentMs] = [1, 0, 0]
  for (let round = -WARM_UP; round < rounds; round++) {
    if (round >= FEWEST_ROUNDS && spentMs > patienceMs) break
    profiler.reset()
    for (let i = 0; i < runs; i++) scope(() => void run())
    await gpu.queue.finished()
    const rows = await profiler.rows(gpu.platform)
    const timeMs = rows.reduce((sum, row) => sum + row.timeMs, 0) / runs
    launches = rows.length / runs
    if (round >= 0) {
      times.push(timeMs)
      spentMs += timeMs * runs
    } else {
      runs = Math.min(MOST_RUNS, Math.max(1, Math.ceil(ROUND_MS / Math.max(timeMs, 1e-3))))
    }
  }
  return { times: times.sort((a, b) => a - b), launches }
}
