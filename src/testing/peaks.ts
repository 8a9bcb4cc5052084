import { requireInteger } from '../base/check.ts'
import { OptionError, WgradError } from '../base/errors.ts'
import { formatBytes, formatRate, formatTime } from '../base/format.ts'
import { currentGpu, type Gpu } from '../gpu/device.ts'
import type { Profiler } from '../gpu/profile.ts'
import { HELD_MS, warmUpOf } from '../gpu/warm-up.ts'
import type { LaunchOptions } from '../gpu/pipeline-cache.ts'
import type { ShaderName } from '../gpu/shader-source.ts'
import { floatToHalf } from '../tensor/half.ts'
import { empty, launch } from '../tensor/launch.ts'
import { release } from '../tensor/scope.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { tensor } from '../tensor/read-write.ts'
import '../gpu/wgsl/probe/index.ts'

/** Roofs of an adapter as measured by probes, not as specified by the manufacturer. */
export interface Peaks {
  /** Fused multiply-adds from registers in f32, counted as two operations, in FLOP/s. */
  readonly f32: number
  /** Fused multiply-adds in f16; absent if the adapter has no f16 arithmetic. No kernel of ours uses it. */
  readonly f16?: number
  /** Matrix units with f16 operands and f32 sums; absent if there are none. */
  readonly matrix?: number
  /** Bytes read and written by a copy, in B/s. */
  readonly copy: number
  /** Duration of the smallest launch by the GPU's clock, and time of the CPU thread to record one, in ms. */
  readonly launchMs: number
  readonly recordMs: number
}

/** Kind of arithmetic that dominates a kernel and determines its roof. */
export type Arithmetic = 'f32' | 'matrix'

/** Least work that a kernel must do. */
export interface Work {
  readonly flops: number
  readonly bytes: number
  readonly arithmetic: Arithmetic
}

/** Returns the shortest time that work can take under the roofs, in ms, and the roof that limits it. */
export function leastTime(
  peaks: Peaks,
  { flops, bytes, arithmetic }: Work,
): { timeMs: number; roof: Arithmetic | 'copy' } {
  const arithmeticMs = (flops / arithmeticPeak(peaks, arithmetic)) * 1000
  const memoryMs = (bytes / peaks.copy) * 1000
  return arithmeticMs > memoryMs ? { timeMs: arithmeticMs, roof: arithmetic } : { timeMs: memoryMs, roof: 'copy' }
}

/** Returns the peak of a kind of arithmetic in FLOP/s. */
export function arithmeticPeak(peaks: Peaks, arithmetic: Arithmetic): number {
  return arithmetic === 'matrix' ? (peaks.matrix ?? peaks.f32) : peaks.f32
}

/** Returns the better of two measurements of each roof: another process can only slow a probe down. */
export function higherPeaks(a: Peaks, b: Peaks): Peaks {
  return {
    f32: Math.max(a.f32, b.f32),
    ...(a.f16 === undefined ? {} : { f16: Math.max(a.f16, b.f16 ?? 0) }),
    ...(a.matrix === undefined ? {} : { matrix: Math.max(a.matrix, b.matrix ?? 0) }),
    copy: Math.max(a.copy, b.copy),
    launchMs: Math.min(a.launchMs, b.launchMs),
    recordMs: Math.min(a.recordMs, b.recordMs),
  }
}

/** Formats peaks as one line. */
export function peaksText({ f32, f16, matrix, copy, launchMs, recordMs }: Peaks): string {
  const rate = (peak: number, unit: string) => formatRate(peak, 1000, unit)
  return [
    `peaks, measured: ${rate(f32, 'FLOP')} in f32`,
    ...(f16 === undefined ? [] : [`${rate(f16, 'FLOP')} in f16`]),
    matrix === undefined ? 'no matrix units' : `${rate(matrix, 'FLOP')} on matrix units`,
    `${rate(copy, 'B')} copying`,
    `the smallest launch ${formatTime(launchMs)}, recording one ${formatTime(recordMs)}`,
  ].join(', ')
}

/** Returns the profiler of a GPU. @throws OptionError  if it has none, or operations run on another GPU, whose launches it would miss */
export function requireProfiler(where: string, gpu: Gpu): Profiler {
  if (gpu !== currentGpu()) {
    throw new OptionError(where, 'operations do not run on the GPU that was given', {
      fix: 'give the one that was opened last, or call useGpu(gpu) of wgrad/gpu before',
    })
  }
  if (gpu.profiler) return gpu.profiler
  throw new OptionError(where, 'the GPU was opened without a profiler', { fix: 'openGpu({ profile: true })' })
}

/**
 * Measures the roofs of an adapter.
 *
 * @param gpu  GPU opened with { profile: true }, the one that operations run on
 * @param rounds  number of times that each probe is timed, of which the fastest counts
 * @throws WgradError   if a probe computes a wrong result
 * @throws OptionError  if the GPU has no profiler or is another one
 */
export async function measurePeaks(gpu: Gpu, rounds = 5): Promise<Peaks> {
  requireInteger('measurePeaks', 'rounds', rounds, { from: 1 })
  const multiplyAdds = (shader: 'probe/fma' | 'probe/fma-half') => {
    return fastestOf(CHAINS, (chains) => probeFma(gpu, shader, chains, rounds))
  }
  const peaks = {
    f32: await multiplyAdds('probe/fma'),
    ...(gpu.features.has('shader-f16') ? { f16: await multiplyAdds('probe/fma-half') } : {}),
    // The probe has f16 operands.
    ...(gpu.matrices.emulated || gpu.matrices.sizes[0].component === 'f32'
      ? {}
      : { matrix: await fastestOf(MATRIX_SUMS, (sums) => probeMatrix(gpu, sums, rounds)) }),
    copy: await fastestOf(COPIES, (shape) => probeCopy(gpu, shape, rounds)),
    ...(await probeLaunch(gpu)),
  }
  gpu.trim()
  return peaks
}

/**
 * Numbers of independent sums per thread, each of four numbers: enough to hide the latency of an addition, with few
 * enough registers.
 */
const CHAINS = [2, 3, 4, 8] as const
/** Numbers of matrices of sums per subgroup, down and across. */
const MATRIX_SUMS = [
  [2, 2],
  [2, 4],
  [4, 4],
] as const
/** Threads per workgroup, and vectors of 16 bytes that each thread copies. */
const COPIES = [
  [64, 1],
  [64, 4],
  [256, 1],
  [256, 4],
] as const

/** Returns the rate of the fastest variant of a probe, since a peak is what can be reached. */
async function fastestOf<V>(variants: readonly V[], probe: (variant: V) => Promise<number>): Promise<number> {
  let best = 0
  for (const variant of variants) best = Math.max(best, await probe(variant))
  return best
}

/** Returns a number of workgroups that fills the adapter several times over. */
function fullGrid(gpu: Gpu): number {
  return gpu.software ? 256 : 8192
}

/** Duration of a probe: long compared with a launch, short for the user. */
const PROBE_MS = 10

async function probeFma(gpu: Gpu, shader: ShaderName, chains: number, rounds: number): Promise<number> {
  const groups = fullGrid(gpu)
  const numbers = tensor([-1, -1, -1, -1, 6, 6, 6, 6], [2, 4])
  const sums = empty({ shape: [groups * 64, 4], dtype: 'f32' }, 'probe')
  const bindings = { numbers, sums }
  const options = (count: number): LaunchOptions => ({
    groups,
    shape: { ROUNDS: count },
    constants: { CHAINS: chains },
  })
  const { count, timeMs } = await longEnough(gpu, rounds, (turns) => launch(shader, bindings, options(turns)))
  // Thread 17 is number 1 of its sixteen, and every sum has alternated an even number of times.
  const expected = [0, 1, 2, 3].map((j) => sumOf(chains, (i) => (1 + 16 * i + 64 * j) / 64))
  expectNumbers(shader, await readPart(gpu, sums, 17 * 4, 4), expected)
  release(numbers)
  release(sums)
  return (groups * 64 * 8 * 4 * 2 * chains * count) / (timeMs / 1000)
}

async function probeMatrix(gpu: Gpu, [DOWN, ACROSS]: readonly [number, number], rounds: number): Promise<number> {
  const {
    lanes: LANES,
    sizes: [{ M, N, K }],
  } = gpu.matrices
  // Each thread holds a share of every sum: beyond 128 registers a compiler spills them to memory.
  if ((DOWN * ACROSS * M * N) / LANES > 128) return 0
  const groups = fullGrid(gpu) / 4
  // Small multiples of a sixteenth: every sum is exact, in any order.
  const left = (m: number, k: number) => (((m + k) % 5) - 2) / 16
  const right = (k: number, n: number) => (((3 * k + n) % 7) - 3) / 16
  const halves = [
    ...Array.from({ length: M * K }, (_, i) => left(Math.floor(i / K), i % K)),
    ...Array.from({ length: K * N }, (_, i) => right(Math.floor(i / N), i % N)),
  ].map(floatToHalf)
  const words = Array.from({ length: halves.length / 2 }, (_, i) => (halves[2 * i] | (halves[2 * i + 1] << 16)) >>> 0)
  const numbers = tensor(words, [words.length], 'u32')
  const sums = empty({ shape: [groups * 4, DOWN * ACROSS * M * N], dtype: 'f32' }, 'probe')
  const constants = { LANES, MATRIX_M: M, MATRIX_N: N, MATRIX_K: K, DOWN, ACROSS }
  const options = (count: number): LaunchOptions => ({ groups, shape: { ROUNDS: count }, constants })
  const bindings = { numbers, sums }
  const { count, timeMs } = await longEnough(gpu, rounds, (turns) => launch('probe/matrix', bindings, options(turns)))
  // The second matrix of the first subgroup, which began at 1.
  const dot = (m: number, n: number) => sumOf(K, (k) => left(m, k) * right(k, n))
  const expected = Array.from({ length: M * N }, (_, i) => 1 + count * dot(Math.floor(i / N), i % N))
  expectNumbers('probe/matrix', await readPart(gpu, sums, M * N, M * N), expected)
  release(numbers)
  release(sums)
  return (groups * 4 * DOWN * ACROSS * 2 * M * N * K * count) / (timeMs / 1000)
}

/** Size of a copy, larger than the caches it passes through: 50 MiB on the largest GPUs, 32 on CPUs. */
const COPY_BYTES = { software: 64 * 2 ** 20, gpu: 512 * 2 ** 20 }

async function probeCopy(gpu: Gpu, [THREADS, EACH]: readonly [number, number], rounds: number): Promise<number> {
  const bytes = Math.min(gpu.software ? COPY_BYTES.software : COPY_BYTES.gpu, gpu.buffers.limitBytes)
  const VECTORS = Math.floor(bytes / 16)
  const x = empty({ shape: [VECTORS, 4], dtype: 'u32' }, `probe ${formatBytes(bytes)}`)
  const y = empty(x, 'probe')
  const last = { ...x.view, offset: x.view.offset + (VECTORS - 1) * 16, size: 16 }
  gpu.queue.write(last.buffer, last.offset, Uint32Array.of(1, 2, 3, 4))
  const groups = Math.ceil(VECTORS / (THREADS * EACH))
  const options: LaunchOptions = { groups, shape: { VECTORS }, constants: { THREADS, EACH } }
  const timeMs = await fastest(gpu, rounds, () => launch('probe/copy', { x, y }, options))
  const copied = new Uint32Array(await gpu.queue.read({ ...last, buffer: y.view.buffer }))
  expectNumbers('probe/copy', Array.from(copied), [1, 2, 3, 4])
  release(x)
  release(y)
  return (2 * VECTORS * 16) / (timeMs / 1000)
}

async function probeLaunch(gpu: Gpu): Promise<{ launchMs: number; recordMs: number }> {
  const x = tensor([1, 2, 3, 4], [4], 'u32')
  const y = empty(x)
  const options: LaunchOptions = { groups: 1, shape: { VECTORS: 1 }, constants: { THREADS: 64, EACH: 1 } }
  const small = () => launch('probe/copy', { x, y }, options)
  const launchMs = await fastest(gpu, 32, small)
  const times: number[] = []
  for (let round = 0; round < 5; round++) {
    const begin = gpu.platform.now()
    for (let i = 0; i < RECORDED; i++) small()
    times.push((gpu.platform.now() - begin) / RECORDED)
    await gpu.queue.finished()
  }
  release(x)
  release(y)
  return { launchMs, recordMs: Math.min(...times) }
}

/** Number of launches that are recorded for one time, as a clock is too coarse for one. */
const RECORDED = 256

/** Chooses the number of iterations for which a probe takes about PROBE_MS, then times it. */
async function longEnough(
  gpu: Gpu,
  rounds: number,
  work: (turns: number) => void,
): Promise<{ count: number; timeMs: number }> {
  const tried = 16
  const triedMs = await fastest(gpu, 2, () => work(tried))
  const count = Math.min(1 << 16, Math.max(tried, Math.round((tried * PROBE_MS) / Math.max(triedMs, 1e-3))))
  return { count, timeMs: await fastest(gpu, rounds, () => work(count)) }
}

/** Returns the fastest of several rounds, after one that compiles, on a GPU whose clock is high. */
async function fastest(gpu: Gpu, rounds: number, work: () => void): Promise<number> {
  const profiler = requireProfiler('measurePeaks', gpu)
  const warmUp = warmUpOf(gpu)
  const timeRound = async () => {
    profiler.reset()
    work()
    await gpu.queue.finished()
    const rows = await profiler.rows(gpu.platform)
    return rows.reduce((sum, row) => sum + row.timeMs, 0)
  }
  await timeRound()
  await warmUp.before(timeRound, HELD_MS)
  let best = Infinity
  for (let round = 0; round < rounds; round++) best = Math.min(best, await timeRound())
  warmUp.worked()
  return best
}

/** Reads a part of a large f32 tensor. */
async function readPart(gpu: Gpu, { view }: Tensor, first: number, count: number): Promise<number[]> {
  return Array.from(
    new Float32Array(await gpu.queue.read({ ...view, offset: view.offset + 4 * first, size: 4 * count })),
  )
}

function sumOf(count: number, term: (i: number) => number): number {
  let sum = 0
  for (let i = 0; i < count; i++) sum += term(i)
  return sum
}

function expectNumbers(probe: ShaderName, got: readonly number[], expected: readonly number[]): void {
  if (expected.every((value, i) => Math.abs(got[i] - value) <= 1e-5 * Math.max(1, Math.abs(value)))) return
  const [given, right] = [got, expected].map((values) => values.slice(0, 4).join(' '))
  throw new WgradError(probe, `computed ${given} … instead of ${right} …, so its time says nothing`)
}
