import { rng } from '../../src/base/rng.ts'
import type { Gpu } from '../../src/gpu/device.ts'
import type { ConvolutionSizes } from '../../src/ops/convolution/passes.ts'
import { tune } from '../../src/ops/convolution/tuner.ts'
import { scope } from '../../src/tensor/scope.ts'
import { elementCount } from '../../src/tensor/shape.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { Operands, readElements } from './operands.ts'
import { higherPeaks, leastTime, measurePeaks, type Arithmetic, type Peaks } from './peaks.ts'

/** Who has a kernel run at that shape, and how often in a step. */
export interface Use {
  /** `xresnet18 at 128 px` */
  readonly network: string
  readonly count: number
}

/** One kernel at one shape: first proven, then timed. */
export interface Case {
  /** `conv2d/forward [16,28,28,128]→[16,28,28,128] 3×3 f16` */
  readonly name: string
  readonly uses: readonly Use[]
  /** The convolution whose kernel the tuner is to choose before, where it is one. */
  readonly convolution?: ConvolutionSizes
  /** Makes what it reads. */
  prepare(operands: Operands): Prepared
}

export interface Prepared {
  /** Operations of one run; 0 where it only moves or compares numbers. */
  readonly flops: number
  /** Bytes of what it reads and what it makes, each once. */
  readonly bytes: number
  /** The roof it is under. Default f32 */
  readonly arithmetic?: Arithmetic
  /** Family and tile, where there is a choice. */
  readonly kernel?: string
  /** Records its launches; what they make, by name. Called in a scope. */
  run(): Readonly<Record<string, Tensor>>
  /** What run makes, element by element. */
  readonly checks: Readonly<Record<string, Check>>
}

export interface Check {
  /** The right number at a place, in double precision; nothing where a rounding decides what is right (a ReLU at 0). */
  at(place: number): number | undefined
  /** The largest deviation allowed, in parts of the largest number looked at, or of `size` where that is larger. */
  readonly allowed: number
  /** How large the terms are of which it is the difference, where they may cancel. Default 0 */
  readonly size?: number
  /** Additions that one element costs to check; fewer elements are looked at where it is many. Default 1 */
  readonly terms?: number
}

/** What was measured of a case. */
export interface Timed {
  readonly name: string
  readonly kernel: string
  readonly medianMs: number
  readonly fastestMs: number
  readonly slowestMs: number
  readonly flops: number
  readonly bytes: number
  readonly arithmetic: Arithmetic
  /** How far off, in parts of the largest number. */
  readonly deviation: number
  /** Launches one run makes. */
  readonly launches: number
  readonly uses: readonly Use[]
}

/** The same under the roofs of its device. */
export interface Row extends Timed {
  /** The least time that the roofs allow over the median, and which roof that is. */
  readonly share: number
  readonly roof: Arithmetic | 'copy'
}

export interface Timing {
  /** Rounds that count. Default 9 */
  readonly rounds?: number
  /** After so long no further round is begun, when there were three: ms. Default 1000 */
  readonly patienceMs?: number
}

/** Rounds that are not counted: the first compiles, the second finds the caches warm. */
const WARM_UP = 2
const FEWEST_ROUNDS = 3

/** Elements looked at, and the additions this may cost in all. */
const SAMPLES = 64
const TERMS = 1e7

/**
 * What summing many numbers in f32 may be off by, in parts of the largest sum: the roundings of n additions wander off
 * by √n halves of the last bit, here 2⁻²⁴ eight times over, as matrix units cut off instead of rounding. One product too
 * many or too few makes a difference of about 1 / √n, which is more up to a million of them.
 */
export function summing(terms: number, stored: 'f32' | 'f16'): number {
  return 2 ** -21 * Math.sqrt(terms) + (stored === 'f16' ? HALF_ROUNDING : 0)
}

/** What a few operations in f32 and storing the result may be off by. */
export function rounding(stored: 'f32' | 'f16'): number {
  return 2 ** -16 + (stored === 'f16' ? HALF_ROUNDING : 0)
}

/** Halves have 11 bits. */
const HALF_ROUNDING = 2 ** -11

/**
 * Proves a case, then times it by the GPU's own clock.
 *
 * @throws Error when the kernel is wrong: a wrong kernel has no speed
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

/** What became of many cases: those that are wrong, or do not run, have no row. */
export interface Measured {
  readonly peaks: Peaks
  readonly rows: readonly Row[]
  readonly failures: readonly string[]
}

/** Convolutions that are tuned in one go: what was found is written down after each. */
const TUNED = 24

/**
 * Proves and times one case after the other, with the kernels that the tuner chooses where there is a choice. The roofs
 * are measured before and after, and the higher ones count: another process may have been in the way of one.
 *
 * @param gpu    opened with { profile: true }
 * @param onRow  called after each, with all so far
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

/** Unused buffers are kept up to here: making them anew takes longer than most kernels. */
const SPARE_BYTES = 2 ** 30

/** How far off a kernel is, in parts of the largest number looked at. @throws Error when that is too far */
export async function prove(name: string, { run, checks }: Prepared, operands: Operands): Promise<number> {
  const results = scope(run)
  for (const result of Object.values(results)) operands.own(result)
  let worst = 0
  for (const [what, check] of Object.entries(checks)) {
    const result = results[what]
    if (!result) throw new Error(`${name}: makes no ${what}`)
    const { deviation, text } = await deviationOf(result, check)
    // Written so that a NaN fails as well.
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
  // The first and the last one always: that is where a grid ends.
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

/** Runs follow each other in a round until it is so long: a clock is too coarse for less, and a GPU idle between. */
const ROUND_MS = 2
const MOST_RUNS = 64

/** The times of one run, shortest first. */
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
