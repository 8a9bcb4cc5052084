import { formatBytes, formatRate, formatTime } from '../../src/base/format.ts'
import { formatTable } from '../../src/base/table.ts'
import { profileTable, type ProfileRow } from '../../src/gpu/profile.ts'
import { warmUpOf } from '../../src/gpu/warm-up.ts'
import { capture } from '../../src/tensor/capture.ts'
import { adam, crossEntropy, openGpu, type Gpu } from '../../src/node.ts'
import { rng, tune } from '../../src/exports/gpu.ts'
import { backward, cast, keep, scope, tensor } from '../../src/exports/tensor.ts'
import { LossScaler } from '../../src/exports/train.ts'
import type { Module } from '../../src/exports/nn.ts'
import { MODELS } from '../kernels/index.ts'
import { memoryNeed, type MemoryRow } from './memory.ts'
import { median } from '../../src/train/report/format.ts'

/** Whole training step: forward, backward and optimizer on a batch that stays on the GPU. */
export interface StepCase {
  readonly model: string
  readonly batchSize: number
  readonly size: number
  readonly precision: 'mixed' | 'f32'
}

export interface StepRow extends StepCase {
  /** True if the tuner chose the kernels, where it does; false for the default kernels. */
  readonly tuned?: boolean
  /** Time from an open device to the end of the first step, including compilation, in ms. */
  readonly firstMs: number
  /** Time of one step with the wait for its end, in ms. */
  readonly medianMs: number
  readonly fastestMs: number
  readonly slowestMs: number
  /** Time per step of a stream of steps as in training, in which the CPU thread is up to two ahead, in ms. */
  readonly streamMs: number
  /** Time of the launches by the GPU's clock, profiled in additional steps, in ms. */
  readonly kernelsMs: number
  /** Time of the CPU thread: running the TypeScript of a step, and encoding its recording again, in ms. */
  readonly recordingMs: number
  readonly replayMs: number
  readonly flops: number
  readonly launches: number
  readonly pipelines: number
  readonly memory: MemoryRow
}

/** Returns the default cases: those of the peers' benchmark on a CPU, those of PyTorch's baseline on a GPU. */
export function stepCases(software: boolean): readonly StepCase[] {
  if (software) {
    return (['mixed', 'f32'] as const).map((precision) => ({ model: 'xresnet18', batchSize: 16, size: 64, precision }))
  }
  return ['xresnet18', 'xresnet50'].flatMap((model) => {
    return [64, 256].map((batchSize) => ({ model, batchSize, size: 128, precision: 'mixed' as const }))
  })
}

const WARM_UP = 2
/** Number of steps that the CPU thread may be ahead of the GPU, as in training (data/loader.ts). */
const AHEAD = 2

/**
 * Times one case on a device of its own, so that memory and pipelines belong to it alone.
 *
 * @param tuned  false keeps the default kernels, whatever the tuner has found before. Default true
 */
export async function measureStep(
  item: StepCase,
  rounds = 9,
  tuned = true,
): Promise<{ readonly row: StepRow; readonly profile: string }> {
  const gpu = await openGpu({ profile: false })
  const begun = performance.now()
  const training = prepareStep(gpu, item)
  training.step()
  await gpu.queue.finished()
  const firstMs = performance.now() - begun
  // A recording keeps all its buffers in use.
  const peakBytes = gpu.buffers.peakUsedBytes
  if (tuned) await tune()
  let launches = 0
  const timed = async (work: () => void) => {
    const whole: number[] = []
    const own: number[] = []
    await warmUpSteps(gpu, work)
    for (let round = -WARM_UP; round < rounds; round++) {
      const before = gpu.queue.counts.launches
      const start = performance.now()
      work()
      const given = performance.now()
      await gpu.queue.finished()
      if (round < 0) continue
      whole.push(performance.now() - start)
      own.push(given - start)
      launches = gpu.queue.counts.launches - before
    }
    warmUpOf(gpu).worked()
    return { whole: whole.sort((a, b) => a - b), own: own.sort((a, b) => a - b) }
  }
  const plain = await timed(training.step)
  const replay = training.record()
  const { whole: times, own } = await timed(replay)
  // On a GPU nine short steps are over before the thread is far enough ahead of it.
  const long = gpu.software ? rounds : Math.max(rounds, Math.ceil(STREAM_MS / median(times)))
  const streamMs = await timeStream(gpu, replay, long)
  const memory = memoryRow(gpu, item, training.network, peakBytes)
  const pipelines = gpu.pipelines.count
  training.close()
  gpu.close()
  const profiled = await profileStep(item, Math.min(3, rounds), tuned)
  const perStep = (of: (row: ProfileRow) => number) => {
    return profiled.rows.reduce((total, row) => total + of(row), 0) / profiled.steps
  }
  return {
    row: {
      ...item,
      tuned,
      firstMs,
      medianMs: median(times),
      fastestMs: times[0],
      slowestMs: times[times.length - 1],
      streamMs,
      kernelsMs: perStep(({ timeMs }) => timeMs),
      recordingMs: median(plain.own),
      replayMs: median(own),
      flops: perStep(({ flops }) => flops),
      launches,
      pipelines,
      memory,
    },
    profile: profileTable(profiled.rows),
  }
}

/** Measures the memory of a step without timing it. */
export async function measureMemory(item: StepCase): Promise<MemoryRow> {
  const gpu = await openGpu({ profile: false })
  const { step, record, network, close } = prepareStep(gpu, item)
  // As in a fit: one plain step, one recorded, then replays.
  step()
  const peakBytes = gpu.buffers.peakUsedBytes
  const replay = record()
  replay()
  await gpu.queue.finished()
  const row = memoryRow(gpu, item, network, peakBytes)
  close()
  gpu.close()
  return row
}

function memoryRow({ buffers }: Gpu, item: StepCase, network: Module, peakBytes: number): MemoryRow {
  const { batchSize, size, precision } = item
  return {
    name: stepName(item),
    ...memoryNeed(network, [batchSize, size, size, 3], precision),
    peakBytes,
    allocatedBytes: buffers.allocatedBytes,
    residentBytes: process.memoryUsage().rss,
  }
}

/** Least time of a stream of steps on a GPU. */
const STREAM_MS = 500

/** Repeats steps until an idle GPU has raised its clock. @param drain  called after each, when it is done */
async function warmUpSteps(gpu: Gpu, step: () => void, drain?: () => Promise<void>): Promise<void> {
  await warmUpOf(gpu).before(async () => {
    step()
    await gpu.queue.finished()
    await drain?.()
  })
}

/** Measures milliseconds per step in a stream of steps, on a GPU whose clock is high. */
export async function timeStream(gpu: Gpu, step: () => void, count: number): Promise<number> {
  const fences: (() => Promise<void>)[] = []
  await gpu.queue.finished()
  await warmUpSteps(gpu, step)
  const start = performance.now()
  for (let i = 0; i < count; i++) {
    step()
    fences.push(gpu.queue.fence())
    if (fences.length > AHEAD) await fences.shift()?.()
  }
  await gpu.queue.finished()
  const timeMs = (performance.now() - start) / count
  warmUpOf(gpu).worked()
  return timeMs
}

export function stepName({ model, batchSize, size, precision }: StepCase): string {
  return `${model} [${batchSize},${size},${size},3] ${precision}`
}

export function imagesPerSecond({ batchSize, streamMs }: StepRow): number {
  return (batchSize / streamMs) * 1000
}

export function stepTable(rows: readonly StepRow[]): string {
  const head = [
    'training step',
    'median',
    'spread',
    'in a row',
    'kernels',
    'recording',
    'replay',
    'first',
    'rate',
    'images/s',
    'launches',
    'pipelines',
    'GPU memory',
    'process',
  ]
  return formatTable([
    head,
    ...rows.map((row) => [
      stepName(row),
      formatTime(row.medianMs),
      `${formatTime(row.fastestMs)} – ${formatTime(row.slowestMs)}`,
      formatTime(row.streamMs),
      formatTime(row.kernelsMs),
      formatTime(row.recordingMs),
      formatTime(row.replayMs),
      formatTime(row.firstMs),
      formatRate(row.flops, row.streamMs, 'FLOP'),
      imagesPerSecond(row).toFixed(1),
      String(row.launches),
      String(row.pipelines),
      formatBytes(row.memory.allocatedBytes),
      formatBytes(row.memory.residentBytes),
    ]),
  ])
}

async function profileStep(
  item: StepCase,
  steps: number,
  tuned: boolean,
): Promise<{ rows: readonly ProfileRow[]; steps: number }> {
  const gpu = await openGpu({ profile: true })
  const { step, close } = prepareStep(gpu, item)
  step()
  await gpu.queue.finished()
  if (tuned) await tune()
  step()
  await gpu.queue.finished()
  const drain = async () => {
    await gpu.profiler?.rows(gpu.platform)
    gpu.profiler?.reset()
  }
  await drain()
  await warmUpSteps(gpu, step, drain)
  for (let i = 0; i < steps; i++) step()
  await gpu.queue.finished()
  const rows = [...((await gpu.profiler?.rows(gpu.platform)) ?? [])]
  close()
  gpu.close()
  return { rows, steps }
}

export interface PreparedStep {
  readonly network: Module
  /** Encodes a step and submits it. */
  step(): void
  /** Records a step; returns a function that replays it. */
  record(): () => void
  close(): void
}

/** Makes a network, an optimizer and one batch of random numbers. */
export function prepareStep(gpu: Gpu, { model, batchSize, size, precision }: StepCase): PreparedStep {
  const network: Module = MODELS[model]()
  const optimizer = adam()([network.parameters()])
  const mixed = precision === 'mixed'
  if (mixed) optimizer.keepF16Copies()
  const scaler = new LossScaler({ mixed })
  const random = rng(0, 'bench step')
  // The numbers of one image are repeated, since drawing more would take longer than the step.
  const image = Float32Array.from({ length: size * size * 3 }, () => random.normal())
  const { length } = image
  const pixels = Float32Array.from(
    { length: batchSize * length },
    (_, i) => image[(i + 7 * Math.floor(i / length)) % length],
  )
  const x = keep(tensor(pixels, [batchSize, size, size, 3], mixed ? 'f16' : 'f32'))
  const labels = keep(
    tensor(
      Uint32Array.from({ length: batchSize }, () => random.integer(0, 9)),
      [batchSize],
      'u32',
    ),
  )
  const loss = crossEntropy()
  const launchStep = () => {
    scope(() => backward(loss.mean(cast(network.forward(x), 'f32'), { a: labels }), scaler.scale))
    optimizer.step(scaler)
    optimizer.zeroGradients()
  }
  let close = () => {
    optimizer.close()
    scaler.close()
  }
  return {
    network,
    step() {
      launchStep()
      gpu.queue.submit()
    },
    record() {
      const { captured } = capture(launchStep)
      if (!captured) throw new Error('bench step: a step wrote to a buffer, so it cannot be replayed')
      gpu.queue.submit()
      const before = close
      close = () => {
        captured.close()
        before()
      }
      return () => {
        captured.replay()
        gpu.queue.submit()
      }
    },
    close: () => close(),
  }
}
